"""Commands about networks: train, export and evaluate appearance models and person detectors."""
