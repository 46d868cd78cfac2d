"""How a command ends: by signals, by a crash, or with streams that nobody reads."""
