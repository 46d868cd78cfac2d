"""Runs as annotated videos: what is drawn into frames, one video per camera, and all cameras side by side."""
