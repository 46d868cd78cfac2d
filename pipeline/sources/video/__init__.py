"""Videos, in one file or in many segments: read frame by frame, surviving damage."""
