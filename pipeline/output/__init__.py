"""Export trajectories and visits as tables, and runs as annotated videos."""
