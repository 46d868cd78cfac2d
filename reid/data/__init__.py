"""Data sets of crops: reading, sampling, augmenting."""
