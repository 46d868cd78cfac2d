"""Backbones of a few thousand weights, for tests of everything around a backbone."""

from torch import nn
from torch.nn import functional

from reidpipe.reid.backbones.protocol import (
    Backbone,
    BackboneOutput,
    TokenBackbone,
    add_camera,
    camera_embedding,
    weighted_mean,
)

DIMENSIONS = 16


class TinyBackbone(Backbone):
    """16×16 patches through two layers; norm=False leaves BatchNorm out."""

    def __init__(self, cameras=0, norm=True, heads=False):
        super().__init__()
        self.map_channels, self.dimensions = (8, 8, 8, 8), DIMENSIONS
        self.stem = nn.Conv2d(3, 8, 16, 16)
        self.norm = nn.BatchNorm2d(8) if norm else nn.Identity()
        self.camera = camera_embedding(cameras, 8)
        self.out = nn.Linear(8, DIMENSIONS)
        self.heads = heads

    def forward(self, images, camids=None):
        stem = add_camera(self.stem(images), self.camera, camids)  # (N, 8, 16, 8)
        deep = self.norm(stem).relu()
        feature = self.out(deep.mean((2, 3)))
        return BackboneOutput((stem, deep, deep, deep), feature, feature.view(-1, 2, 8) if self.heads else None)

    def pool(self, deepest, weights):
        return self.out(weighted_mean(deepest, weights))


class TinyVit(TokenBackbone):
    """A backbone with tokens: mean colours of 16×16 patches, mixed by one layer each."""

    def __init__(self):
        nn.Module.__init__(self)
        self.grid, self.dimensions, self.map_channels = (16, 8), DIMENSIONS, (8, 8, 8, 8)
        self.stem, self.out = nn.Linear(3, 8), nn.Linear(8, DIMENSIONS)

    def tokens(self, images, camids=None):
        return self.stem(functional.avg_pool2d(images, 16).flatten(2).transpose(1, 2))  # (N, 128, 8)

    def from_tokens(self, tokens, camids=None):
        x = tokens.relu().transpose(1, 2).unflatten(2, self.grid)
        return BackboneOutput((x, x, x, x), self.out(x.mean((2, 3))))
