"""Set typed values in shader programs by name."""

from __future__ import annotations

import moderngl
import numpy as np
from numpy.typing import NDArray

Value = float | int | tuple[float, ...]


def set_values(program: moderngl.Program, **values: Value) -> None:
    """Set scalars, small vectors and texture units."""
    for name, value in values.items():
        member = program[name]
        if not isinstance(member, moderngl.Uniform):
            raise TypeError(f"{name}: expected a uniform, got {type(member).__name__}")
        member.value = value


def set_arrays(program: moderngl.Program, **arrays: NDArray[np.float32]) -> None:
    """Set matrices (transposed: OpenGL wants columns first) and arrays of rows, cut to what the program declares."""
    for name, array in arrays.items():
        member = program[name]
        if not isinstance(member, moderngl.Uniform):
            raise TypeError(f"{name}: expected a uniform, got {type(member).__name__}")
        square = array.shape[-2:] == (4, 4) and member.dimension == 16
        ready = np.swapaxes(array, -1, -2) if square else array[: member.array_length]
        member.write(np.ascontiguousarray(ready, dtype=np.float32).tobytes())
