"""Learn the prompt tokens of every identity contrastively, with CLIP frozen: stage 1 of the CLIP text supervision.

Source: Li, Sun, Li, "CLIP-ReID", AAAI 2023, section 3.2 [CLIP-ReID].
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..backbones.large.clip_model import CLIP_MEAN_RGB, CLIP_STD_RGB, ClipModel, Tokenizer
from ..backbones.weights import UNREADABLE
from ..disk.files import replacing
from ..errors import TrainingError
from ..model.network import normalise
from .prompts import PromptLearner, encode_identities, encode_prompts

WARM_UP_SHARE = 5 / 120  # share of the epochs in which the learning rate rises [CLIP-ReID]
FIRST_SHARE = 1e-5 / 3.5e-4  # of the learning rate, in the first epoch [CLIP-ReID]
LAST_SHARE = 1e-6 / 3.5e-4  # of the learning rate, at the end of the cosine [CLIP-ReID]

Progress = Callable[["EpochReport"], None]


@dataclass(frozen=True)
class PromptSettings:
    """Hyperparameters of stage 1; the defaults are those of CLIP-ReID for ViT-B/16.

    Attributes:
        epochs: passes over all images.
        batch_size: images per step.
        learning_rate: peak, of Adam.
        seed: of the initial tokens and of the order of images.
    """

    epochs: int = 120
    batch_size: int = 64
    learning_rate: float = 3.5e-4
    seed: int = 0


@dataclass(frozen=True)
class EpochReport:
    """One epoch, counted from 1: the mean loss of its steps, and the number of steps skipped as not finite."""

    epoch: int
    epochs: int
    loss: float
    skipped: int


@torch.no_grad()
def encode_images(clip: ClipModel, batches: Iterable[np.ndarray]) -> Tensor:
    """Encode each training image with CLIP's image tower, once and without augmentation [CLIP-ReID].

    Args:
        clip: in evaluation mode; its device is used.
        batches: uint8 (n, H, W, 3) BGR; resized to the image tower's input size.

    Returns:
        float32 (N, d) of unit length, on the CPU.

    Raises:
        TrainingError: there is no image, or CLIP returns NaN or infinity for one.
    """
    device = clip.token_embedding.weight.device
    native = getattr(clip.visual, "image_size", 224)
    size = (native, native) if isinstance(native, int) else tuple(native)
    rows: list[Tensor] = []
    for batch in batches:
        images = normalise(torch.from_numpy(batch).to(device), CLIP_MEAN_RGB, CLIP_STD_RGB)  # (n, 3, H, W)
        if images.shape[2:] != size:
            images = functional.interpolate(images, size, mode="bilinear", antialias=True)
        rows.append(functional.normalize(clip.encode_image(images).float()).cpu())  # (n, d)
    if not rows:
        raise TrainingError("CLIP stage 1: expected at least one image, got none")
    features = torch.cat(rows)  # (N, d)
    broken = (~features.isfinite().all(1)).nonzero()
    if len(broken):
        raise TrainingError(
            f"CLIP stage 1: image {int(broken[0])} of {len(features)}: CLIP's feature is not finite; check its weights"
        )
    return features


def contrastive_loss(anchors: Tensor, others: Tensor, anchor_pids: Tensor, other_pids: Tensor, scale: float) -> Tensor:
    """Supervised contrastive loss between two modalities: L_i2t, or L_t2i with the arguments exchanged [CLIP-ReID].

    -mean_i mean_{p: pid_p = pid_i} log( exp(s·a_i·o_p) / Σ_j exp(s·a_i·o_j) ); Khosla et al., NeurIPS 2020, eq. 2.

    Args:
        anchors: float (N, d) of unit length.
        others: float (M, d) of unit length.
        anchor_pids: int64 (N,), each of them also in other_pids.
        other_pids: int64 (M,).
        scale: s, inverse temperature.

    Returns:
        A scalar.
    """
    log_share = (scale * anchors @ others.T).log_softmax(1)  # (N, M)
    same = (anchor_pids[:, None] == other_pids[None, :]).to(log_share.dtype)  # (N, M)
    return -((log_share * same).sum(1) / same.sum(1)).mean()


def learning_rate(epoch: int, settings: PromptSettings) -> float:
    """Learning rate of an epoch, counted from 0: linear warm-up, then half a cosine [CLIP-ReID]."""
    warm_up = round(settings.epochs * WARM_UP_SHARE)
    if epoch < warm_up:
        share = FIRST_SHARE + (1 - FIRST_SHARE) * epoch / warm_up
    else:
        done = (epoch - warm_up) / max(settings.epochs - warm_up, 1)
        share = LAST_SHARE + (1 - LAST_SHARE) * (1 + math.cos(math.pi * done)) / 2
    return settings.learning_rate * share


class PromptTraining:
    """Training state of stage 1: `run_epoch` trains, `state` and `restore` save and resume, `text` is the result.

    Similarities are cosines times CLIP's own inverse temperature.  CLIP-ReID takes bare inner products, which for the
    published models is nearly the same (both towers' features have a norm of about 10); ours is independent of that
    norm [ours].
    """

    def __init__(
        self, clip: ClipModel, tokenizer: Tokenizer, features: Tensor, labels: Tensor, settings: PromptSettings
    ) -> None:
        """Freeze `clip` and draw the initial tokens.

        Args:
            clip: its text tower is used, on its device.
            tokenizer: of the same model.
            features: float32 (N, d) of unit length, from `encode_images`.
            labels: int64 (N,), identities 0 to C - 1 without gaps.
            settings: hyperparameters.

        Raises:
            TrainingError: features, labels or settings are invalid.
            WeightsError: the text tower does not fit the sentence.
        """
        _check(features, labels, settings)
        for parameter in clip.parameters():
            parameter.requires_grad_(False)
        self.clip, self.settings, self.epoch = clip, settings, 0
        device = clip.token_embedding.weight.device
        self.features, self.labels = features.to(device), labels.to(device)  # (N, d), (N,)
        generator = torch.Generator().manual_seed(settings.seed)
        self.prompts = PromptLearner(clip, tokenizer, int(labels.max()) + 1, generator)
        self.optimiser = torch.optim.SparseAdam(self.prompts.parameters(), settings.learning_rate)
        self.scale = float(clip.logit_scale.detach().exp())

    def run_epoch(self) -> EpochReport:
        """Train one pass over all images, in an order that depends on seed and epoch only.

        Raises:
            TrainingError: no step had a finite loss.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.epoch, self.settings)
        generator = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.labels), generator=generator).to(self.labels.device)  # (N,)
        losses = [self._step(rows) for rows in torch.split(order, self.settings.batch_size)]
        finite = [one for one in losses if math.isfinite(one)]
        self.epoch += 1
        if not finite:
            raise TrainingError(f"CLIP stage 1: epoch {self.epoch}: no step had a finite loss; check CLIP's weights")
        return EpochReport(self.epoch, self.settings.epochs, sum(finite) / len(finite), len(losses) - len(finite))

    def text(self) -> Tensor:
        """T: float32 (C, d) on the CPU, as the text tower gives it.

        Raises:
            TrainingError: an identity's text feature is not finite.
        """
        text = encode_identities(self.clip, self.prompts)
        broken = (~text.isfinite().all(1)).nonzero()
        if len(broken):
            raise TrainingError(f"CLIP stage 1: identity {int(broken[0])}: its text feature is not finite")
        return text

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs, for torch.save."""
        return {
            "settings": asdict(self.settings),
            "labels": self.labels,
            "epoch": self.epoch,
            "tokens": self.prompts.tokens.weight.detach(),
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` returned; the result is that of an uninterrupted run.

        Raises:
            TrainingError: the state is of other settings or other images.
        """
        settings, tokens = asdict(self.settings), self.prompts.tokens.weight
        if state["settings"] != settings:
            raise TrainingError(f"CLIP stage 1: saved with settings {state['settings']}, now {settings}: start afresh")
        if not torch.equal(state["labels"].cpu(), self.labels.cpu()):
            raise TrainingError("CLIP stage 1: saved for other images or identities: start afresh")
        if state["tokens"].shape != tokens.shape:
            saved, own = tuple(state["tokens"].shape), tuple(tokens.shape)
            raise TrainingError(f"CLIP stage 1: saved for another CLIP, tokens {saved} instead of {own}: start afresh")
        with torch.no_grad():
            tokens.copy_(state["tokens"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.epoch = state["epoch"]

    def _step(self, rows: Tensor) -> float:
        """Train on one batch; return the loss, or NaN if loss or gradient was not finite and the step was skipped."""
        labels = self.labels[rows]  # (B,)
        present, place = torch.unique(labels, return_inverse=True)  # (U,), (B,)
        sentences = encode_prompts(self.clip, self.prompts(present))  # (U, d), each identity encoded once
        text = functional.normalize(sentences.float())[place]  # (B, d), of each image's identity
        image = self.features[rows]  # (B, d)
        loss = contrastive_loss(image, text, labels, labels, self.scale)
        loss = loss + contrastive_loss(text, image, labels, labels, self.scale)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        gradient = self.prompts.tokens.weight.grad
        if gradient is None or not bool(torch.isfinite(loss) & gradient.coalesce().values().isfinite().all()):
            return math.nan
        self.optimiser.step()  # type: ignore[no-untyped-call]
        return float(loss.detach())


def learn_prompts(
    clip: ClipModel,
    tokenizer: Tokenizer,
    features: Tensor,
    labels: Tensor,
    settings: PromptSettings,
    *,
    state_file: Path | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Run stage 1 to its end.

    Args:
        clip: as of `PromptTraining`.
        tokenizer: as of `PromptTraining`.
        features: as of `PromptTraining`.
        labels: as of `PromptTraining`.
        settings: as of `PromptTraining`.
        state_file: rewritten after every epoch; if it exists, the run is resumed from it.
        progress: called after every epoch.

    Returns:
        T, one text feature per identity: float32 (C, d), on the CPU; the same for the same seed.
    """
    training = PromptTraining(clip, tokenizer, features, labels, settings)
    if state_file is not None and state_file.is_file():
        training.restore(_read_state(state_file))
    while training.epoch < settings.epochs:
        report = training.run_epoch()
        if state_file is not None:
            with replacing(state_file) as temporary:
                torch.save(training.state(), temporary)
        if progress is not None:
            progress(report)
    return training.text()


def _check(features: Tensor, labels: Tensor, settings: PromptSettings) -> None:
    for name in ("epochs", "batch_size", "learning_rate"):
        if not getattr(settings, name) > 0:
            raise TrainingError(f"CLIP stage 1: {name}: expected more than 0, got {getattr(settings, name)}")
    if features.ndim != 2 or labels.shape != features.shape[:1] or not len(labels):
        expected, got = "features (N, d) and labels (N,), N > 0", (tuple(features.shape), tuple(labels.shape))
        raise TrainingError(f"CLIP stage 1: expected {expected}, got {got[0]} and {got[1]}")
    if int(labels.min()) < 0:
        raise TrainingError(f"CLIP stage 1: expected labels from 0, got {int(labels.min())}")
    missing = (labels.bincount() == 0).nonzero()
    if len(missing):
        raise TrainingError(f"CLIP stage 1: identity {int(missing[0])} has no image; number identities without gaps")


def _read_state(path: Path) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise TrainingError(f"{path}: not a readable state of CLIP stage 1; delete it to start afresh") from error
    if not isinstance(state, dict) or not {"settings", "labels", "epoch", "tokens", "optimiser"} <= state.keys():
        raise TrainingError(f"{path}: not a state of CLIP stage 1; delete it to start afresh")
    return state
