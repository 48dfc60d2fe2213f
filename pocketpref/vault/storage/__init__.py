"""The SQLite file: container, schema, rows and users."""
