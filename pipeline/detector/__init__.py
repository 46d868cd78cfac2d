"""Fine-tuning and 8-bit quantisation of the person detector."""
