"""Commands about identities: list and correct them, search for a person, and explain a link."""
