"""The submission edge: ports 587 and 465."""
