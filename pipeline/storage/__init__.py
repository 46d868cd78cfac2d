"""The database: schema, migrations, one writer, and queries."""
