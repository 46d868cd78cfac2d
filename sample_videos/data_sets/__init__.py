"""Data sets to train and test networks: frames for a detector, crops of people."""
