"""Recorded footage as frames in time order."""
