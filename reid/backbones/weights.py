"""Load third-party weights into a backbone: by name, with every shape checked, without running code from the file."""

import pickle
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..disk.files import failing_as
from ..errors import WeightsError

UNREADABLE = (  # raised by torch.load for files that are truncated or something else, depending on their bytes
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    struct.error,
)
FILE_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".tar", ".safetensors")
OUTER_KEYS = ("model", "state_dict")  # where checkpoints keep their weights
COUNTER = ".num_batches_tracked"  # of BatchNorm: missing in old files, and not used here
OWN, WRAPPED = "backbone.", "network."  # prefixes in `ReidModel` and in the backbones that wrap another library's
CAMERA = "camera."  # the camera embedding belongs to one set of cameras, so it is not taken over


def is_file(pretrained: Path | str) -> bool:
    """Whether `pretrained` is a file rather than a published name such as "resnet50.a1_in1k"."""
    return isinstance(pretrained, Path) or Path(pretrained).suffix in FILE_SUFFIXES or Path(pretrained).is_file()


def read_state(weights: Path) -> dict[str, Any]:
    """Read a dict written by torch.save (or a .safetensors file), without running code from the file.

    Raises:
        WeightsError: the file is missing, unreadable or holds something else.
    """
    with failing_as(WeightsError, weights):
        if not weights.is_file():
            raise WeightsError(f"{weights}: no such weights file")
    if weights.suffix == ".safetensors":
        return _read_safetensors(weights)
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise WeightsError(f"{weights}: not a readable PyTorch file ({type(error).__name__})") from error
    if not isinstance(state, dict):
        raise WeightsError(f"{weights}: expected a dict of weights, got {type(state).__name__}")
    return state


def read_backbone(weights: Path, classifier: Sequence[str] = ()) -> dict[str, Tensor]:
    """Read a backbone's weights from a bare state dict, one inside a checkpoint, or a checkpoint of this program.

    Args:
        weights: a file.
        classifier: prefixes of a classifier's names, which are left out.

    Raises:
        WeightsError: as `read_state`.
    """
    state = read_state(weights)
    for outer in OUTER_KEYS:
        state = state[outer] if isinstance(state.get(outer), dict) else state
    names = {name.removeprefix("module."): value for name, value in state.items() if isinstance(value, Tensor)}
    ours = {name.removeprefix(OWN): value for name, value in names.items() if name.startswith(OWN)}
    plain = {name.removeprefix(WRAPPED): value for name, value in (ours or names).items()}
    return {name: value for name, value in plain.items() if not name.startswith((*classifier, CAMERA))}


def fill(backbone: nn.Module, state: Mapping[str, Tensor], weights: Path) -> None:
    """Copy `state`, which `read_backbone` read from the file `weights`, into `backbone`, in place.

    The backbone's camera embedding stays as it is.

    Raises:
        WeightsError: a name is missing or unknown, or a shape differs; the message names the first.
    """
    given = {name: value for name, value in state.items() if not name.endswith(COUNTER)}
    own = backbone.state_dict()
    expected = {name: own[name] for name in own if not name.endswith(COUNTER) and not name.startswith(CAMERA)}
    for name, value in expected.items():
        if name not in given:
            raise WeightsError(f"{weights}: weights of another architecture: no {name} in it")
        if given[name].shape != value.shape:
            found, wanted = tuple(given[name].shape), tuple(value.shape)
            raise WeightsError(f"{weights}: weights of another architecture: {name}: expected {wanted}, got {found}")
    for name in given:
        if name not in expected:
            raise WeightsError(f"{weights}: weights of another architecture: unknown {name} in it")
    backbone.load_state_dict(given, strict=False)  # what `strict` checks was checked above


def _read_safetensors(weights: Path) -> dict[str, Any]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise WeightsError(f"{weights}: needs safetensors: pip install 'reidpipe[train]'") from error
    try:
        return dict(load_file(weights))
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{weights}: not a readable safetensors file") from error
