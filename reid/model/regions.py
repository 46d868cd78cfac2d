"""Where in the crop is the person, and what does each part of the crop say about them?

Three modules that any convolutional backbone can carry.  They give the mask something to speak about: dims that are
bound to a region of the crop, and a map of where the person is to be seen.

- `VisibilityMap` reads the four maps: for each of 16×8 cells, is the person whose crop this is visible there?  It is
  taught by what was pasted over training crops and, for rendered people, by the renderer [ours].
- `RegionHeads` describe the crop several times: once as a whole, where the visibility map weighs the cells, and once
  per fixed window, whatever is in it [ours; windows after the parts of Sun et al., "Beyond Part Models", ECCV 2018].
- `RegionMask` trusts a dim as far as it is reliable in general, and as its region shows the person in this crop [ours].
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .mask_generators import GRID, MapReader, separable
from .precision import mask_of

Pool = Callable[[Tensor, Tensor], Tensor]

WINDOWS = 5  # upper, middle and lower third, left and right half
SOFT_ROWS, SOFT_COLUMNS = 0.04, 0.06  # how gently windows end, in shares of the crop: boxes are never exact
PLACE_CHANNELS = 16  # row, column, and zeros: onnxruntime is fast on multiples of 16 only
LEAST_WEIGHT = 0.02  # of a cell in the whole: where nobody is visible the mean over all cells remains
VISIBILITY_CHANNELS = 48  # each stage's map is brought to this many channels
ENOUGH = 0.8  # a window that shows this share of what it usually shows is trusted fully
DISTRUST = 4  # the power by which trust falls below that; of 2 to 6 none stood out on held-out people
LIKELY = 0.8  # how sure a guess is that the person is in the middle of an uncovered crop
BODY_HALF_WIDTH = 3.2  # in cells: how far from the middle a body is likely
HARDLY_SEEN = 0.15  # a region that shows less of the person teaches nothing


class VisibilityMap(nn.Module):
    """Four feature maps → for each cell the log-odds that the person is visible in it; 0 everywhere at the start."""

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
    """The deepest map and the visibility of its cells → one feature of several regions, D = whole + 5 · head dims.

    region_of: int64 (D,), which region each dim describes: 0 for the whole, 1 to 5 for the windows.
    """

    region_of: Tensor
    windows: Tensor

    def __init__(self, channels: int, whole_dimensions: int, head_dimensions: int) -> None:
        super().__init__()
        heads = WINDOWS if head_dimensions else 0
        self.heads = nn.ModuleList(nn.Linear(channels, head_dimensions, bias=False) for _ in range(heads))
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
        return torch.cat([head(one) for head, one in zip(self.heads, pooled.unbind(), strict=True)], 1)

    def seen(self, visible: Tensor) -> Tensor:
        """How much of each region shows the person: (N, 16, 8) in [0, 1] → float32 (N, 6) in [0, 1]."""
        return _averages(visible, self.windows)


class Regions(nn.Module):
    """The visibility map and the heads that it guides: the crop as a whole where the person is, and its windows."""

    def __init__(self, map_channels: Sequence[int], whole_dimensions: int, head_dimensions: int) -> None:
        super().__init__()
        self.visibility = VisibilityMap(map_channels)
        self.heads = RegionHeads(map_channels[-1], whole_dimensions, head_dimensions)
        self.dimensions = self.heads.dimensions
        self.region_of = self.heads.region_of

    def forward(self, maps: Sequence[Tensor], pool: Pool) -> tuple[Tensor, Tensor, Tensor]:
        """Describe a crop by its parts.

        Args:
            maps: four of float (N, c_l, H_l, W_l); the deepest is 16×8.
            pool: the backbone's, from the deepest map and a weight for each cell to the feature of the whole.

        Returns:
            The feature, float32 (N, D); log-odds of visibility, float32 (N, 16, 8); what is seen of each region,
            float32 (N, 6).
        """
        logits = self.visibility(maps)  # (N, 16, 8)
        visible, deepest = torch.sigmoid(logits), maps[-1].float()
        whole = pool(deepest, self.heads.weights(visible)).float()  # (N, whole dims)
        seen = self.heads.seen(visible)  # (N, 6)
        if not len(self.heads.heads):
            return whole, logits, seen
        return torch.cat([whole, self.heads(deepest).float()], 1), logits, seen


class RegionMask(nn.Module):
    """What is seen of each region → one value in (0, 1) per dim; 0.5 at the start [DPM].

    A dim's mask is how reliable the dim is in general (learnt, see `trust`) times how much its window shows: 1 where it
    shows the person about as much as windows usually do, less where it shows less.  The whole weighs its cells itself,
    so its dims keep their masks [ours].  Generators that also read maps and embedding, crop by crop, ranked held-out
    people no better than this.

    mean_seen: float32 (6,), how much whole crops show of each region; follows training.
    """

    region_of: Tensor
    mean_seen: Tensor

    def __init__(self, region_of: Tensor) -> None:
        """`region_of`: int64 (D,), see `RegionHeads`."""
        super().__init__()
        self.precision = nn.Parameter(torch.zeros(len(region_of)))  # (D,), its logarithm
        self.register_buffer("mean_seen", torch.full((WINDOWS + 1,), 0.5))
        self.register_buffer("region_of", region_of, persistent=False)

    def forward(self, seen: Tensor) -> Tensor:
        """seen: float32 (N, 6) in [0, 1] → float32 (N, D)."""
        return mask_of(self.precision) * self.trust(seen)[:, self.region_of]

    def trust(self, seen: Tensor) -> Tensor:
        """How far each region is trusted: float32 (N, 6) in [0, 1] → float32 (N, 6) in [0, 1]."""
        shown = (seen / (ENOUGH * self.mean_seen)).clamp(0, 1) ** DISTRUST  # (N, 6)
        return torch.cat([torch.ones_like(shown[:, :1]), shown[:, 1:]], 1)


def seen_of_regions(visible: Tensor) -> Tensor:
    """How much of each region is visible: float32 (N, 16, 8) in [0, 1] → float32 (N, 6) in [0, 1]."""
    return _averages(visible, region_windows().to(visible.device))


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


def visibility_truth(covers: Tensor, persons: Tensor, uncovered_weight: float) -> tuple[Tensor, Tensor]:
    """What the visibility map of training crops should say, as far as anybody knows.

    Where the person was is known of rendered crops.  Of others it is known only what is hidden; for the rest, that
    people stand in the middle of their crops.

    Args:
        covers: float32 (N, 16, 8) in [0, 1], the share of each cell that something was pasted over.
        persons: float32 (N, 16, 8) in [0, 1], the share that showed the person before; all 0 where nobody knows.
        uncovered_weight: what a guess counts, beside 1 for what is known.

    Returns:
        visible and known, as `visibility_loss` takes them.
    """
    across = torch.arange(GRID[1], device=covers.device) - (GRID[1] - 1) / 2  # (8,)
    guess = LIKELY * torch.exp(-((across / BODY_HALF_WIDTH) ** 4))  # (8,)
    rendered = (persons.flatten(1).amax(1) > 0)[:, None, None]  # (N, 1, 1)
    visible = torch.where(rendered, torch.minimum(persons, 1 - covers), guess * (1 - covers))
    guessed = torch.where(covers > 0.5, 1.0, uncovered_weight)
    return visible, torch.where(rendered, 1.0, guessed)


def region_loss(
    neck: Tensor, prototypes: Tensor, labels: Tensor, seen: Tensor, region_of: Tensor, scale: float
) -> Tensor:
    """Tell identities apart by each region alone, as far as it truly shows the person.

    Args:
        neck: float32 (N, D).
        prototypes: float32 (C, D).
        labels: int64 (N,) in [0, C).
        seen: float32 (N, R) in [0, 1], the share of each region that is not hidden.
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
        weight = (seen[:, region] - HARDLY_SEEN).clamp_min(0)  # (N,)
        losses.append((each * weight).sum() / weight.sum().clamp_min(1e-6))
    return torch.stack(losses).mean()


def _averages(visible: Tensor, windows: Tensor) -> Tensor:
    in_windows = torch.einsum("nhw,khw->nk", visible, windows)  # (N, 5)
    return torch.cat([visible.mean((1, 2))[:, None], in_windows], 1)


def _between(x: Tensor, low: float, high: float, softness: float) -> Tensor:
    return torch.sigmoid((x - low) / softness) * torch.sigmoid((high - x) / softness)
