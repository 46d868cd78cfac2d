"""Link tracklets of all cameras to identities."""
