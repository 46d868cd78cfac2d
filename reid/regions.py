"""Where in the crop is the person, and what does each part of the crop say about them?

Three modules that any convolutional backbone can carry.  They give the mask something to speak about: dims that are
bound to a region of the crop, and a map of where the person is to be seen.

- `VisibilityMap` reads the four maps: for each of 16×8 cells, is the person whose crop this is visible there?  It is
  taught by what was pasted over training crops and, for rendered people, by the renderer [ours].
- `RegionHeads` describe the crop several times: once as a whole, where the visibility map weighs the cells, and once
  per fixed window, whatever is in it [ours; windows after the parts of Sun et al., "Beyond Part Models", ECCV 2018].
- `RegionMask` is the lite mask generator, told in addition how much of each region shows the person, and what the
  embedding says: a hidden dim is easier to spot beside the others [ours].
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .mask import GRID, MapReader, separable
from .trust import LARGEST_LOGIT

Summarise = Callable[[Tensor, Tensor], Tensor]

WINDOWS = 5  # upper, middle and lower third, left and right half
SOFT_ROWS, SOFT_COLUMNS = 0.04, 0.06  # how gently windows end, in shares of the crop: boxes are never exact
LEAST_WEIGHT = 0.02  # of a cell in the whole: where nobody is visible the mean over all cells remains
VISIBILITY_CHANNELS = 48  # each stage's map is brought to this many channels
GAIN = 4.0  # one step of the gain moves the mask as far as four of the Linear would: it learns first
HIDDEN = 256  # units between what is read and the mask


class VisibilityMap(nn.Module):
    """Four feature maps → for each cell the log-odds that the person is visible in it; 0 everywhere at the start."""

    place: Tensor

    def __init__(self, map_channels: Sequence[int]) -> None:
        super().__init__()
        self.read = MapReader(map_channels, VISIBILITY_CHANNELS)
        width = VISIBILITY_CHANNELS * len(map_channels) + 2
        self.mix = nn.Sequential(*separable(width, 128), *separable(128, 128), *separable(128, 64))
        self.out = nn.Conv2d(64, 1, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]  # there is one
        down, across = torch.meshgrid(*(torch.linspace(-1, 1, cells) for cells in GRID), indexing="ij")
        self.register_buffer("place", torch.stack([down, across])[None], persistent=False)  # (1, 2, 16, 8)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """maps: four of float (N, c_l, H_l, W_l) → float32 (N, 16, 8)."""
        stages = self.read(maps)  # (N, 4·48, 16, 8)
        place = self.place.expand(len(stages), -1, -1, -1).to(stages.dtype)
        logits: Tensor = self.out(self.mix(torch.cat([stages, place], 1)))  # (N, 1, 16, 8)
        return logits[:, 0].float()


class RegionHeads(nn.Module):
    """The deepest map and the visibility of its cells → one feature of several regions, D = whole + 5 · head dims.

    region_of: int64 (D,), which region each dim describes: 0 for the whole, 1 to 5 for the windows.
    """

    region_of: Tensor
    windows: Tensor

    def __init__(self, channels: int, whole_dimensions: int, head_dimensions: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(channels, head_dimensions, bias=False) for _ in range(WINDOWS))
        sizes = torch.tensor([whole_dimensions, *[head_dimensions] * WINDOWS])
        self.register_buffer("region_of", torch.arange(WINDOWS + 1).repeat_interleave(sizes), persistent=False)
        self.register_buffer("windows", region_windows(), persistent=False)  # (5, 16, 8)

    @property
    def dimensions(self) -> int:
        """D."""
        return len(self.region_of)

    def weights(self, visible: Tensor) -> Tensor:
        """float32 (N, 16, 8) in [0, 1] → how much each cell counts in the whole: float32 (N, 16, 8), sums are 1."""
        weights = visible.square() + LEAST_WEIGHT  # squared: who is half visible in a cell counts for less than half
        return weights / weights.sum((1, 2), keepdim=True)

    def forward(self, deepest: Tensor) -> Tensor:
        """float32 (N, channels, 16, 8) → the windows' features, float32 (N, 5 · head dims)."""
        pooled = torch.einsum("nchw,khw->knc", deepest, self.windows)  # (5, N, channels)
        return torch.cat([head(one) for head, one in zip(self.heads, pooled, strict=True)], 1)

    def seen(self, visible: Tensor) -> Tensor:
        """How much of each region shows the person: (N, 16, 8) in [0, 1] → float32 (N, 6) in [0, 1]."""
        in_windows = torch.einsum("nhw,khw->nk", visible, self.windows)  # (N, 5)
        return torch.cat([visible.mean((1, 2))[:, None], in_windows], 1)


class Regions(nn.Module):
    """The visibility map and the heads that it guides: the crop as a whole where the person is, and its windows."""

    def __init__(self, map_channels: Sequence[int], whole_dimensions: int, head_dimensions: int) -> None:
        super().__init__()
        self.visibility = VisibilityMap(map_channels)
        self.heads = RegionHeads(map_channels[-1], whole_dimensions, head_dimensions)
        self.dimensions = self.heads.dimensions
        self.region_of = self.heads.region_of

    def forward(self, maps: Sequence[Tensor], summarise: Summarise) -> tuple[Tensor, Tensor, Tensor]:
        """Describe a crop by its parts.

        Args:
            maps: four of float (N, c_l, H_l, W_l); the deepest is 16×8.
            summarise: the backbone's, from the deepest map and a weight for each cell to the feature of the whole.

        Returns:
            The feature, float32 (N, D); log-odds of visibility, float32 (N, 16, 8); what is seen of each region,
            float32 (N, 6).
        """
        logits = self.visibility(maps)  # (N, 16, 8)
        visible, deepest = torch.sigmoid(logits), maps[-1].float()
        whole = summarise(deepest, self.heads.weights(visible)).float()  # (N, whole dims)
        return torch.cat([whole, self.heads(deepest).float()], 1), logits, self.heads.seen(visible)


class RegionMask(nn.Module):
    """Four maps, what is seen of each region, the embedding → one value in (0, 1) per dim; 0.5 at the start [DPM].

    The reading of the maps is that of the `lite` generator.  Each dim also has a gain on how much its own region shows:
    one number that says how far hiding the region spoils the dim.  Masks stay within 0.018 and 0.982.
    """

    region_of: Tensor

    def __init__(self, map_channels: Sequence[int], region_of: Tensor) -> None:
        """`region_of`: int64 (D,), see `RegionHeads`."""
        super().__init__()
        self.read = MapReader(map_channels)
        width = self.read.channels
        self.mix = nn.Sequential(*separable(width, width), *separable(width, width))
        dimensions = len(region_of)
        self.join = nn.Sequential(nn.Linear(width + WINDOWS + 1 + dimensions, HIDDEN), nn.ReLU(inplace=True))
        self.out = nn.Linear(HIDDEN, dimensions)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.gain = nn.Parameter(torch.zeros(dimensions))  # (D,)
        self.register_buffer("region_of", region_of, persistent=False)

    def forward(self, maps: Sequence[Tensor], seen: Tensor, neck: Tensor) -> Tensor:
        """maps: four of float (N, c_l, H_l, W_l); seen: float32 (N, 6); neck: float32 (N, D) → float32 (N, D)."""
        read = self.mix(self.read(maps)).amax((2, 3)).float()  # (N, width)
        centred = GAIN * (seen - 0.5)  # (N, 6)
        logits = self.out(self.join(torch.cat([read, centred, neck], 1))).float()  # (N, D)
        logits = logits + self.gain * centred[:, self.region_of]
        return torch.sigmoid(logits.clamp(-LARGEST_LOGIT, LARGEST_LOGIT))


def region_windows() -> Tensor:
    """The five windows, float32 (5, 16, 8), each of sum 1: upper, middle and lower third, left and right half."""
    down, across = ((torch.arange(cells) + 0.5) / cells for cells in GRID)
    rows = [(-1.0, 0.36), (0.28, 0.68), (0.6, 2.0)]  # thirds overlap a little; -1 and 2 lie outside of the crop
    columns = [(-1.0, 0.5), (0.5, 2.0)]
    windows = [torch.outer(_between(down, *ends, SOFT_ROWS), torch.ones(GRID[1])) for ends in rows]
    windows += [torch.outer(torch.ones(GRID[0]), _between(across, *ends, SOFT_COLUMNS)) for ends in columns]
    stacked = torch.stack(windows)
    return stacked / stacked.sum((1, 2), keepdim=True)


def visibility_loss(logits: Tensor, visible: Tensor, known: Tensor) -> Tensor:
    """Binary cross-entropy over the cells whose truth is known.

    Args:
        logits: float32 (N, 16, 8), of `VisibilityMap`.
        visible: float32 (N, 16, 8) in [0, 1], the share of each cell that shows the person.
        known: float32 (N, 16, 8) ≥ 0, how much each cell counts; 0 where nobody knows.

    Returns:
        A scalar; 0 where nothing is known.
    """
    losses = functional.binary_cross_entropy_with_logits(logits, visible, reduction="none")  # (N, 16, 8)
    return (losses * known).sum() / known.sum().clamp_min(1e-6)


def _between(x: Tensor, low: float, high: float, softness: float) -> Tensor:
    return torch.sigmoid((x - low) / softness) * torch.sigmoid((high - x) / softness)
