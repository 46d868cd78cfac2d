"""Pictures as files: decoded with care, and shrunk to be kept."""
