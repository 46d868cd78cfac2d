"""Data sets of person crops: reading, sampling, augmentation."""
