"""Linking against ground truth: its settings swept, its probabilities fitted and shown."""
