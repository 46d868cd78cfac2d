"""One optimisation step: its batch, its losses, and the state that it changes."""
