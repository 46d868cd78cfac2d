"""The trained network: backbone, neck, regions, mask and prototypes."""
