"""Load CLIP models from open_clip: a published one by name and tag, weights from a file, or random weights.

CLIP supervises training and is never deployed, unless a recipe chooses its image tower as the backbone.
Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021; loaded
through open_clip (Ilharco et al., 2021).
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...errors import WeightsError
from ...wording import did_you_mean
from ..weights import read_state

if TYPE_CHECKING:
    from types import ModuleType

CLIP_MEAN_RGB = (0.48145466, 0.4578275, 0.40821073)  # in [0, 1]; of OpenAI's and LAION's CLIP models
CLIP_STD_RGB = (0.26862954, 0.26130258, 0.27577711)
RESNET_STRIDE = 32
FILE_SUFFIXES = (".pt", ".pth", ".bin", ".safetensors", ".ckpt")
WRAPPERS = ("module.", "_orig_mod.")  # prefixes of DataParallel and torch.compile


class ClipModel(Protocol):
    """The parts of open_clip's CLIP that this package uses; d is the size of the joint space (512 for ViT-B-16)."""

    visual: nn.Module
    token_embedding: nn.Embedding
    positional_embedding: Tensor  # float (L, W), L the context length, W the text tower's width
    transformer: nn.Module
    ln_final: nn.Module
    text_projection: Tensor | nn.Linear | None
    attn_mask: Tensor | None  # float (L, L), 0 and -inf
    logit_scale: Tensor  # the logarithm of the inverse temperature

    def encode_image(self, image: Tensor) -> Tensor:
        """image: float (N, 3, H, W), normalised → float (N, d)."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """As of nn.Module."""
        ...

    def to(self, device: torch.device) -> Self:
        """As of nn.Module: in place."""
        ...


class Tokenizer(Protocol):
    """CLIP's tokenizer."""

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """C texts → token ids, int64 (C, L), padded with zeros after the end token."""
        ...

    def encode(self, text: str) -> list[int]:
        """The token ids of one text, without start and end token and of any number."""
        ...


def load_clip(
    name: str,
    weights: Path | str | None,
    *,
    model_config: Mapping[str, object] | None = None,
) -> tuple[ClipModel, Tokenizer]:
    """Load a CLIP model in float32, in evaluation mode, on the CPU, with its tokenizer.

    Args:
        name: open_clip's name of the architecture, such as "ViT-B-16" or "RN50"; only a label if model_config is given.
        weights: a published tag such as "openai" (downloaded on first use), or a file (.pt, .safetensors; read without
            running code from it), or None for random weights.  A tag sets the activation function that it was trained
            with; for a file of OpenAI's weights use a name that ends in "-quickgelu".
        model_config: the architecture itself (embed_dim, vision_cfg, text_cfg, quick_gelu) in place of a known name.

    Raises:
        WeightsError: open_clip is not installed, the name or tag is unknown, the download failed, or the file is
            missing, unreadable, or of another architecture.
    """
    library = _open_clip()
    config = _config(library, name, model_config)
    source: Path | None = None
    if weights is not None and _is_file(library, name, weights, model_config is not None):
        source = Path(weights)
    elif weights is not None:
        source = _download(library, name, str(weights), config)
    try:
        model = library.CLIP(**config)
    except (TypeError, KeyError, ValueError, AssertionError) as error:
        raise WeightsError(f"CLIP {name}: open_clip cannot build this model_config: {error}") from error
    if source is not None:
        _fill(model, _read(source), source, name)
    tokenizer = library.SimpleTokenizer(context_length=model.context_length)
    return cast(ClipModel, model.eval()), cast(Tokenizer, tokenizer)


def resize_positions(visual: nn.Module, image_hw: tuple[int, int]) -> None:
    """Change the input size of a CLIP image tower, in place, by interpolating its position embedding [CLIP-ReID].

    Args:
        visual: open_clip's VisionTransformer or ModifiedResNet; its embedding is float (1 + rows · columns, c).
        image_hw: height and width, multiples of the patch size (ViT) or of 32 (ResNet).

    Raises:
        WeightsError: another kind of tower, or a size that is not such a multiple.
    """
    owner = getattr(visual, "attnpool", visual)
    positions = getattr(owner, "positional_embedding", None)
    if not isinstance(positions, nn.Parameter):
        raise WeightsError(f"image_hw: {type(visual).__name__} has no position embedding to resize")
    patch = getattr(visual, "patch_size", (RESNET_STRIDE, RESNET_STRIDE))
    native = getattr(visual, "image_size", 0)
    native_hw = tuple(native) if isinstance(native, Sequence) else (native, native)
    if any(size < step or size % step for size, step in zip(image_hw, patch, strict=True)):
        raise WeightsError(f"image_hw: expected multiples of {tuple(patch)}, got {tuple(image_hw)}")
    old, new = ((hw[0] // patch[0], hw[1] // patch[1]) for hw in (native_hw, image_hw))
    first, grid = positions.detach()[:1], positions.detach()[1:]  # (1, c), (rows · columns, c)
    image = grid.T.reshape(1, -1, *old)  # (1, c, rows, columns)
    resized = functional.interpolate(image, new, mode="bicubic", antialias=True) if new != old else image
    owner.positional_embedding = nn.Parameter(torch.cat([first, resized.flatten(2)[0].T]))  # (1 + rows · columns, c)
    visual.image_size = tuple(image_hw)  # type: ignore[assignment]  # a plain attribute in open_clip
    if hasattr(visual, "grid_size"):
        visual.grid_size = new  # type: ignore[assignment]


def _open_clip() -> "ModuleType":
    try:
        import open_clip
    except ImportError as error:
        raise WeightsError("CLIP needs open_clip, which is not installed: pip install 'reidpipe[train]'") from error
    return cast("ModuleType", open_clip)


def _config(library: "ModuleType", name: str, model_config: Mapping[str, object] | None) -> dict[str, object]:
    """The constructor's arguments; refuses models whose text tower cannot take learnt prompt tokens."""
    config = copy.deepcopy(dict(model_config)) if model_config is not None else library.get_model_config(name)
    if config is None:
        known = library.list_models()
        raise WeightsError(f"CLIP {name}: open_clip knows no such model{did_you_mean(name, known)}")
    text = config.get("text_cfg")
    if not isinstance(text, dict) or not isinstance(config.get("vision_cfg"), dict):
        raise WeightsError(f"CLIP {name}: model_config: expected the keys embed_dim, vision_cfg and text_cfg")
    custom = config.pop("custom_text", False) or "multimodal_cfg" in config
    not_causal = text.get("no_causal_mask") or text.get("pool_type", "argmax") not in {"argmax", "eos"}
    if custom or not_causal or text.get("hf_model_name") or text.get("hf_tokenizer_name"):
        raise WeightsError(f"CLIP {name}: its text tower takes no learned tokens: use a model such as ViT-B-16 or RN50")
    return cast("dict[str, object]", config)


def _is_file(library: "ModuleType", name: str, weights: Path | str, custom: bool) -> bool:
    if isinstance(weights, Path) or custom:
        return True
    tags = library.list_pretrained_tags_by_model(name)
    if weights in tags:
        return False
    if Path(weights).exists() or Path(weights).suffix in FILE_SUFFIXES or "/" in weights:
        return True
    raise WeightsError(f"CLIP {name}: {weights} is neither a file nor a published tag{did_you_mean(weights, tags)}")


def _download(library: "ModuleType", name: str, tag: str, config: dict[str, object]) -> Path:
    """Download a tag's file into the local cache; sets the activation function that it was trained with in `config`."""
    published = library.get_pretrained_cfg(name, tag)
    if tuple(published.get("mean", CLIP_MEAN_RGB)) != CLIP_MEAN_RGB:
        raise WeightsError(f"CLIP {name}: {tag} was trained with another normalisation of images: use another tag")
    config["quick_gelu"] = bool(published.get("quick_gelu", False))
    try:
        return Path(library.download_pretrained(published))
    except (OSError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"CLIP {name}: {tag} could not be downloaded (or give a file instead): {reason}") from error


def _read(path: Path) -> dict[str, Tensor]:
    """Read a state dict, possibly inside a checkpoint or with the prefixes of a wrapper."""
    try:
        state = read_state(path)
    except WeightsError as error:
        archive = "TorchScript" in str(error.__cause__)
        if archive:
            raise WeightsError(f"{error}; a TorchScript archive: save its state_dict() instead") from error
        raise
    if isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path}: expected a dict of weights, got {sorted(map(str, state))[:3]}")
    for wrapper in WRAPPERS:
        state = {name.removeprefix(wrapper): value for name, value in state.items()}
    return state


def _fill(model: nn.Module, state: dict[str, Tensor], path: Path, name: str) -> None:
    """Copy `state` into `model`; every name and shape must match."""
    own = model.state_dict()
    if "logit_scale" in state and "logit_scale" in own:
        state["logit_scale"] = state["logit_scale"].reshape(own["logit_scale"].shape)  # () or (1,) by version
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()[:200]
        raise WeightsError(f"{path}: not weights of CLIP {name}: {reason}") from error
