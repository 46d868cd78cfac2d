"""The trained network: backbone, BNNeck, regions, mask generator and prototypes."""
