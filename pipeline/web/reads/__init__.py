"""What the page reads of the database."""
