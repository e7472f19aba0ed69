"""Real databases for tests: SQLite files and a PostgreSQL server from its wheel."""
