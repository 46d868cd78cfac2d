"""Connections to the database: addresses, settings, its age, and its damage."""
