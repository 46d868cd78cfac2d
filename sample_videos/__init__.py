"""The rendered sample store: its people, its shelves, its cameras, its footage and its ground truth."""
