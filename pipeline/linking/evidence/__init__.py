"""What speaks for and against two tracklets being one person."""
