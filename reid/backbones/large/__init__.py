"""Large backbones, built with timm or open_clip (the extra `train`): ViTs, ResNet-50, CLIP's image towers."""
