"""Region features: a visibility map, part-based pooling, and a mask per region.

Three modules for any convolutional backbone.  They make the mask interpretable: each dim belongs to a region of the
crop, and a map shows where the person is visible.

- `VisibilityMap` predicts for each of 16×8 cells whether the person of this crop is visible there.  It is supervised by
  the occluders pasted on training crops and, for rendered people, by the renderer's ground truth [ours].
- `RegionHeads` pool the deepest map several times: once globally, weighted by the visibility map, and once per fixed
  window, unweighted [ours; windows after the parts of Sun et al., "Beyond Part Models", ECCV 2018].
- `RegionMask` multiplies the learnt precision of a dim by the visibility of its region in this crop [ours].
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .mask_generators import GRID, MapReader, separable
from .precision import precision_mask

Pool = Callable[[Tensor, Tensor], Tensor]

WINDOWS = 5  # upper, middle and lower third, left and right half
SOFT_ROWS, SOFT_COLUMNS = 0.04, 0.06  # softness of window borders, in shares of the crop: boxes are never exact
PLACE_CHANNELS = 16  # row, column and zeros: onnxruntime is fast on multiples of 16 only
LEAST_WEIGHT = 0.02  # of a cell in global pooling: where no cell is visible, the mean over all cells remains
VISIBILITY_CHANNELS = 48  # each map is projected to this many channels
FULLY_RELIABLE = 0.8  # share of its mean visibility from which a window counts as fully reliable
RELIABILITY_POWER = 4  # of the visibility below that; from 2 to 6 no value stood out on held-out identities
PRIOR = 0.8  # probability that the person is visible in the middle of a crop without an occluder
BODY_HALF_WIDTH = 3.2  # in cells: how far from the middle that prior extends
MIN_SEEN = 0.15  # a region that shows less of the person has no weight in its loss


class VisibilityMap(nn.Module):
    """Four feature maps → the log-odds that the person is visible in each cell; 0 everywhere at the start."""

    place: Tensor

    def __init__(self, map_channels: Sequence[int]) -> None:
        super().__init__()
        self.read = MapReader(map_channels, VISIBILITY_CHANNELS)
        width = VISIBILITY_CHANNELS * len(map_channels) + PLACE_CHANNELS
        self.mix = nn.Sequential(*separable(width, 128), *separable(128, 128), *separable(128, 64))
        self.out = nn.Conv2d(64, 1, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]  # there is one
        down, across = torch.meshgrid(*(torch.linspace(-1, 1, cells) for cells in GRID), indexing="ij")
        place = torch.zeros(1, PLACE_CHANNELS, *GRID)
        place[0, :2] = torch.stack([down, across])
        self.register_buffer("place", place, persistent=False)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """maps: four of float (N, c_l, H_l, W_l) → float32 (N, 16, 8)."""
        stages = self.read(maps)  # (N, 4·48, 16, 8)
        place = self.place.expand(stages.shape[0], -1, -1, -1).to(stages.dtype)
        logits: Tensor = self.out(self.mix(torch.cat([stages, place], 1)))  # (N, 1, 16, 8)
        return logits[:, 0].float()


class RegionHeads(nn.Module):
    """The deepest map and the visibility of its cells → one feature over all regions, D = global + 5 · head dims.

    region_of: int64 (D,), the region that each dim describes: 0 for the whole crop, 1 to 5 for the windows.
    """

    region_of: Tensor
    windows: Tensor

    def __init__(self, channels: int, global_dimensions: int, head_dimensions: int) -> None:
        """Create the heads.

        Args:
            channels: of the deepest map.
            global_dimensions: D of the backbone's feature.
            head_dimensions: of each window's feature; 0 for no windows.
        """
        super().__init__()
        heads = WINDOWS if head_dimensions else 0
        self.heads = nn.ModuleList(nn.Linear(channels, head_dimensions, bias=False) for _ in range(heads))
        sizes = torch.tensor([global_dimensions, *[head_dimensions] * WINDOWS])
        self.register_buffer("region_of", torch.arange(WINDOWS + 1).repeat_interleave(sizes), persistent=False)
        self.register_buffer("windows", region_windows(), persistent=False)  # (5, 16, 8)

    @property
    def dimensions(self) -> int:
        """D, the length of the feature."""
        return len(self.region_of)

    def weights(self, visible: Tensor) -> Tensor:
        """Weights of global pooling: visibility float32 (N, 16, 8) in [0, 1] → float32 (N, 16, 8), each of sum 1."""
        weights = visible.square() + LEAST_WEIGHT  # squared: a half visible cell gets less than half the weight
        return weights / weights.sum((1, 2), keepdim=True)

    def forward(self, deepest: Tensor) -> Tensor:
        """float32 (N, channels, 16, 8) → the windows' features, float32 (N, 5 · head dims)."""
        pooled = torch.einsum("nchw,khw->knc", deepest, self.windows)  # (5, N, channels)
        return torch.cat([head(one) for head, one in zip(self.heads, pooled.unbind(), strict=True)], 1)

    def seen(self, visible: Tensor) -> Tensor:
        """Visibility of each region: float32 (N, 16, 8) in [0, 1] → float32 (N, 6) in [0, 1]."""
        return _averages(visible, self.windows)


class Regions(nn.Module):
    """The visibility map and the region heads together."""

    def __init__(self, map_channels: Sequence[int], global_dimensions: int, head_dimensions: int) -> None:
        """Create both; the arguments are those of `VisibilityMap` and `RegionHeads`."""
        super().__init__()
        self.visibility = VisibilityMap(map_channels)
        self.heads = RegionHeads(map_channels[-1], global_dimensions, head_dimensions)
        self.dimensions = self.heads.dimensions
        self.region_of = self.heads.region_of

    def forward(self, maps: Sequence[Tensor], pool: Pool) -> tuple[Tensor, Tensor, Tensor]:
        """Pool the maps of N crops by region.

        Args:
            maps: four of float (N, c_l, H_l, W_l); the deepest is 16×8.
            pool: `Backbone.pool`, from the deepest map and a weight for each cell to the global feature.

        Returns:
            The feature, float32 (N, D); the log-odds of visibility, float32 (N, 16, 8); the visibility of each region,
            float32 (N, 6).
        """
        logits = self.visibility(maps)  # (N, 16, 8)
        visible, deepest = torch.sigmoid(logits), maps[-1].float()
        pooled = pool(deepest, self.heads.weights(visible)).float()  # (N, global dims)
        seen = self.heads.seen(visible)  # (N, 6)
        if not len(self.heads.heads):
            return pooled, logits, seen
        return torch.cat([pooled, self.heads(deepest).float()], 1), logits, seen


class RegionMask(nn.Module):
    """Visibility of the regions → one value in (0, 1) per dim; 0.5 at the start [DPM].

    The mask of a dim is its learnt precision (see `precision.py`), the same for all crops, times the reliability of its
    window in this crop: 1 where the window shows about as much of the person as it does on average, less where it shows
    less.  Global pooling already weights its cells by visibility, so the reliability of the whole crop is always 1
    [ours].  Mask generators that also read maps and embedding ranked held-out identities no better than this.

    mean_seen: float32 (6,), running mean of the visibility of each region in unoccluded training crops.
    """

    region_of: Tensor
    mean_seen: Tensor

    def __init__(self, region_of: Tensor) -> None:
        """`region_of`: int64 (D,), see `RegionHeads`."""
        super().__init__()
        self.precision = nn.Parameter(torch.zeros(len(region_of)))  # (D,), logarithms
        self.register_buffer("mean_seen", torch.full((WINDOWS + 1,), 0.5))
        self.register_buffer("region_of", region_of, persistent=False)

    def forward(self, seen: Tensor) -> Tensor:
        """seen: float32 (N, 6) in [0, 1] → float32 (N, D)."""
        return precision_mask(self.precision) * self.reliability(seen)[:, self.region_of]

    def reliability(self, seen: Tensor) -> Tensor:
        """Reliability of each region from its visibility: float32 (N, 6) in [0, 1] → float32 (N, 6) in [0, 1]."""
        shown = (seen / (FULLY_RELIABLE * self.mean_seen)).clamp(0, 1) ** RELIABILITY_POWER  # (N, 6)
        return torch.cat([torch.ones_like(shown[:, :1]), shown[:, 1:]], 1)


def seen_of_regions(visible: Tensor) -> Tensor:
    """Visibility of each region: float32 (N, 16, 8) in [0, 1] → float32 (N, 6) in [0, 1]."""
    return _averages(visible, region_windows().to(visible.device))


def region_windows() -> Tensor:
    """The five windows: upper, middle and lower third, left and right half; float32 (5, 16, 8), each of sum 1."""
    down, across = ((torch.arange(cells) + 0.5) / cells for cells in GRID)
    rows = [(-1.0, 0.36), (0.28, 0.68), (0.6, 2.0)]  # thirds overlap a little; -1 and 2 lie outside the crop
    columns = [(-1.0, 0.5), (0.5, 2.0)]
    windows = [torch.outer(_between(down, *ends, SOFT_ROWS), torch.ones(GRID[1])) for ends in rows]
    windows += [torch.outer(torch.ones(GRID[0]), _between(across, *ends, SOFT_COLUMNS)) for ends in columns]
    stacked = torch.stack(windows)
    return stacked / stacked.sum((1, 2), keepdim=True)


def visibility_loss(logits: Tensor, visible: Tensor, known: Tensor) -> Tensor:
    """Binary cross-entropy of the visibility map, weighted by how certain the target of each cell is.

    Args:
        logits: float32 (N, 16, 8), from `VisibilityMap`.
        visible: float32 (N, 16, 8) in [0, 1], the share of each cell that shows the person.
        known: float32 (N, 16, 8) ≥ 0, weight of each cell; 0 where the target is unknown.

    Returns:
        A scalar; 0 where all weights are 0.
    """
    losses = functional.binary_cross_entropy_with_logits(logits, visible, reduction="none")  # (N, 16, 8)
    return (losses * known).sum() / known.sum().clamp_min(1e-6)


def visibility_truth(covers: Tensor, persons: Tensor, uncovered_weight: float) -> tuple[Tensor, Tensor]:
    """Targets of the visibility map for training crops, and their weights.

    For rendered crops the position of the person is known.  For others only the pasted occluders are known; elsewhere
    the target is a prior, that people stand in the middle of their crops.

    Args:
        covers: float32 (N, 16, 8) in [0, 1], the share of each cell that is covered by a pasted occluder.
        persons: float32 (N, 16, 8) in [0, 1], the share that showed the person before; all 0 where that is unknown.
        uncovered_weight: weight of the prior; known targets have weight 1.

    Returns:
        visible and known, as `visibility_loss` takes them.
    """
    across = torch.arange(GRID[1], device=covers.device) - (GRID[1] - 1) / 2  # (8,)
    prior = PRIOR * torch.exp(-((across / BODY_HALF_WIDTH) ** 4))  # (8,)
    rendered = (persons.flatten(1).amax(1) > 0)[:, None, None]  # (N, 1, 1)
    visible = torch.where(rendered, torch.minimum(persons, 1 - covers), prior * (1 - covers))
    weight = torch.where(covers > 0.5, 1.0, uncovered_weight)
    return visible, torch.where(rendered, 1.0, weight)


def region_loss(
    neck: Tensor, prototypes: Tensor, labels: Tensor, seen: Tensor, region_of: Tensor, scale: float
) -> Tensor:
    """Classify identities by each region alone, weighted by how much of the person it shows.

    Args:
        neck: float32 (N, D).
        prototypes: float32 (C, D).
        labels: int64 (N,) in [0, C).
        seen: float32 (N, R) in [0, 1], the unoccluded share of each region.
        region_of: int64 (D,) in [0, R).
        scale: s of the cosine softmax.

    Returns:
        A scalar: the mean over regions.
    """
    losses = []
    for region in range(seen.shape[1]):
        own = region_of == region  # (D,)
        cosine = functional.normalize(neck[:, own]) @ functional.normalize(prototypes[:, own]).T  # (N, C)
        each = functional.cross_entropy(scale * cosine, labels, reduction="none")  # (N,)
        weight = (seen[:, region] - MIN_SEEN).clamp_min(0)  # (N,)
        losses.append((each * weight).sum() / weight.sum().clamp_min(1e-6))
    return torch.stack(losses).mean()


def _averages(visible: Tensor, windows: Tensor) -> Tensor:
    """Means over the whole crop and over each window: (N, 16, 8) → (N, 6)."""
    in_windows = torch.einsum("nhw,khw->nk", visible, windows)  # (N, 5)
    return torch.cat([visible.mean((1, 2))[:, None], in_windows], 1)


def _between(x: Tensor, low: float, high: float, softness: float) -> Tensor:
    """A soft indicator of low < x < high, in (0, 1)."""
    return torch.sigmoid((x - low) / softness) * torch.sigmoid((high - x) / softness)
