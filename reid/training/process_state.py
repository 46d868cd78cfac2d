"""Leave the process as it was found: random number generators and thread counts."""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import torch


@contextmanager
def process_state_restored() -> Iterator[None]:
    """Restore PyTorch's random state and both PyTorch's and OpenCV's number of threads at the end.

    Training sets them for the whole process, which may have other work to do.
    Also a decorator: `@process_state_restored()`.
    """
    torch_threads, opencv_threads = torch.get_num_threads(), cv2.getNumThreads()
    try:
        with torch.random.fork_rng(range(torch.cuda.device_count())):
            yield
    finally:
        torch.set_num_threads(torch_threads)
        cv2.setNumThreads(opencv_threads)
