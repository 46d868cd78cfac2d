"""Keep the memory of this process near what it uses."""

from __future__ import annotations

import ctypes

MMAP_THRESHOLD, ARENA_MAX = -3, -8  # of mallopt(3)
LARGE_BYTES = 1 << 20  # a picture
ARENAS = 2  # heaps that threads share; each keeps what was freed in it
# For a process that makes and frees one picture after the other: one heap that keeps its room, because new pages cost
# as much time as the conversion of a picture that is written to them.
ONE_PICTURE_AFTER_THE_OTHER = {
    "MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}


def give_back_freed_pictures() -> None:
    """Let the C library return the memory of a picture as soon as it is freed, where that is glibc.

    By itself glibc keeps freed pictures in one heap per thread, with holes between them: 60 MiB with four cameras.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(ARENA_MAX, ARENAS)


def give_back_freed_heap() -> None:
    """Return what lies unused at the end of the heap and in whole pages, as after networks were compiled."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
