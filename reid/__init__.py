"""Pixels in, (embedding, mask) out: the appearance model of reidpipe."""
