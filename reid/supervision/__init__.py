"""What the network is trained to do: losses and CLIP text supervision."""
