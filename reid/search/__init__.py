"""Search large galleries by masked similarity."""
