"""Files: the one atomic writer, what outputs must not replace, paths as users write them, YAML from anyone."""
