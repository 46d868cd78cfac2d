"""Let permissions bind this process, even where tests run as root."""

import ctypes
import os
from contextlib import contextmanager

VERSION = 0x20080522  # of the kernel's capability interface, with two words per set
BYPASSES = 0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: read, write and enter everything


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Sets(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]


@contextmanager
def binding_permissions():
    """Within the block, root cannot use what modes forbid to their owner; other users never can."""
    if os.name != "posix" or os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = _Header(VERSION, 0), (_Sets * 2)()
    assert libc.capget(ctypes.byref(header), sets) == 0
    before = sets[0].effective
    sets[0].effective = before & ~BYPASSES
    assert libc.capset(ctypes.byref(header), sets) == 0
    try:
        yield
    finally:
        sets[0].effective = before
        assert libc.capset(ctypes.byref(header), sets) == 0
