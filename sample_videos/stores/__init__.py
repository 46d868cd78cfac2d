"""Stores: what they are built of, the sample store's plan, and the cameras that look into them."""
