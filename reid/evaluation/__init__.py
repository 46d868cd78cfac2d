"""Metrics, baselines, reports and pictures of a trained model."""
