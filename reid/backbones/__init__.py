"""Backbone networks behind one protocol: crops in, four feature maps and one feature out."""
