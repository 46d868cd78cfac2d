"""Measurements on rendered footage: a detector's recall, all trackers, a long day."""
