"""Scale feature maps by two matrix products: exports then know the size of the result, which `interpolate` hides."""

from torch import Tensor, eye
from torch.nn import functional

Size = tuple[int, int]  # rows, columns


def scaled(x: Tensor, before: Size, after: Size) -> Tensor:
    """Bilinear and antialiased: float (N, C, *before) → (N, C, *after); `x` itself where they are equal.

    x: a map.
    before: its size, which a traced `x` does not have as plain numbers.
    """
    if before[0] != after[0]:
        x = _matrix(before[0], after[0]).to(x) @ x
    if before[1] != after[1]:
        x = x @ _matrix(before[1], after[1]).to(x).T
    return x


def _matrix(before: int, after: int) -> Tensor:
    """The weights of `before` samples in each of `after`: float32 (after, before), rows of sum 1."""
    unit = eye(before)[None, None]  # each column is a signal that is 1 at one place
    return functional.interpolate(unit, (after, before), mode="bilinear", antialias=True)[0, 0]
