"""From frames to tracklets: detect, build tracklets, embed."""
