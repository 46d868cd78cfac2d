"""Filming: performances as videos with their ground truth, and which videos there are."""
