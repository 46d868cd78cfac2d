"""Everything that writes the rows of a run: its writer, and what it writes inside a transaction."""
