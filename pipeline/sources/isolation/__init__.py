"""Footage read in processes of their own: a crash inside a decoder then ends one camera, not the run."""
