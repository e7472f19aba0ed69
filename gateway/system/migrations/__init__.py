"""Schema revisions of the control and the location databases; see gateway.system.database.schema."""
