"""Detection of people: batches of frames, the two kinds of networks, and frames that need no search."""
