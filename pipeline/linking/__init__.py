"""Tracklets in, identities out."""
