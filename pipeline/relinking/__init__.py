"""A stored run without its footage: linked again, and checked for identities that nobody can be."""
