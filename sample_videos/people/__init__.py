"""Persons: skeleton and gait, surfaces grown from distance fields, and random outfits."""
