"""The SQLite file: database, schema, rows, users and the form of records."""
