"""How a command ends: its exit code, signals, a crash, or streams that nobody reads."""
