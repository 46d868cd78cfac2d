"""The benchmark of the review page: a stored day, users who look, and a run that they slow down."""
