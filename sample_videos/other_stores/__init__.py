"""Other stores, each made of a seed: plan, cameras, light, cast and script."""
