"""The config file: schema, loader and error messages."""
