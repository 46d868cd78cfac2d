"""The config file: its schema, how it is read, and what its messages say."""
