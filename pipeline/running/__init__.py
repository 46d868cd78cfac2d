"""The parts of a run besides its loop: what it reads, what it opens first, and what it needs to be resumed."""
