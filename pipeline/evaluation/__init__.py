"""Scores against ground truth, and benchmarks."""
