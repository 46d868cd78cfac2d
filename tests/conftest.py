"""State of the whole process that one test could leave behind for the next."""

import random
import signal

import cv2
import numpy as np
import pytest
import torch

SEED = 0


@pytest.fixture(autouse=True, scope="session")
def signals_as_in_a_terminal():
    """Programs that tests start inherit ignored signals: under nohup, or in CI, SIGHUP would not reach them."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(autouse=True)
def fresh_process_state():
    """Seed every random number generator, and restore the thread counts, so that no test depends on its predecessors.

    Libraries leave no choice: Ultralytics calls `torch.set_num_threads` whenever it selects the CPU.  Other threads
    sum in another order, and a training of hundreds of steps ends elsewhere.
    """
    random.seed(SEED)
    np.random.seed(SEED)
    torch_threads, opencv_threads = torch.get_num_threads(), cv2.getNumThreads()
    deterministic, dtype = torch.are_deterministic_algorithms_enabled(), torch.get_default_dtype()
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        torch.manual_seed(SEED)
        yield
    torch.set_num_threads(torch_threads)
    cv2.setNumThreads(opencv_threads)
    torch.use_deterministic_algorithms(deterministic)
    torch.set_default_dtype(dtype)
