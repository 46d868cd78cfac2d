"""Train a model by a recipe."""
