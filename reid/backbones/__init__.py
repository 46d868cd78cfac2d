"""The networks that read a crop, behind one protocol."""
