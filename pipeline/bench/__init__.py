"""Benchmarks of the pipeline, of linking and of the review page, and what they measure on."""
