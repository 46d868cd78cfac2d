"""What a training run writes down of its epochs: log, curves, TensorBoard's event files."""
