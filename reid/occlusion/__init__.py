"""Occlusion for training: what hides people, where, and which donor."""
