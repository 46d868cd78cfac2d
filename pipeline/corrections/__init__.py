"""A person's decisions about the identities of a stored run: audited, obeyed by every linking, and undone on demand."""
