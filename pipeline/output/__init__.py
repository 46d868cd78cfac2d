"""Results as files: trajectories and annotated videos."""
