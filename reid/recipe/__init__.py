"""The recipe of a training run: its sections and keys, and how its file is read."""
