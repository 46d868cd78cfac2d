"""Frame in, tracklet out: detect, build tracklets, embed."""
