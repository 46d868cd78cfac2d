"""Evaluation against ground truth, and benchmarks."""
