"""Per-camera trackers behind one protocol."""
