"""Metrics, baselines, reports and figures of a trained model."""
