"""Store records in SQLite: database, schema, rows, users and serialization."""
