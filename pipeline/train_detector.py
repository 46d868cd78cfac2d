"""How the bundled person detector is trained: rendered scenes, and real footage labelled by the original model."""

from __future__ import annotations

import copy
import logging
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ..reid.files import read_image, replacing
from ..trackers import silence_ultralytics

silence_ultralytics()

from ultralytics import YOLO  # noqa: E402
from ultralytics.nn.tasks import DetectionModel  # noqa: E402

log = logging.getLogger(__name__)

Image = NDArray[np.uint8]
Boxes = NDArray[np.float32]

PERSON = 0  # the row of the class person in COCO
LABEL_CONFIDENCE = 0.3  # what the original model is at least this sure of is a label; the rest is left unlabelled
LABEL_IMAGE_SIZE = 960  # larger than at work, so that the labels are better than the pupil
JPEG_QUALITY = 92
LOSS_GAINS = {"box": 7.5, "cls": 0.5, "dfl": 1.5}  # ultralytics' own
FROZEN_STAGES = 10  # the backbone: what it sees in real pictures serves for rendered ones too
AVERAGE_DECAY = 0.99  # the exported weights are the average over about the last hundred steps
PAD_GREY = 114


def train_detector(
    weights: Path,
    scenes: Sequence[Path],
    footage: Sequence[Path],
    out: Path,
    every: int = 10,
    epochs: int = 4,
    hw: tuple[int, int] = (384, 640),
    learning_rate: float = 2e-4,
    batch: int = 8,
) -> Path:
    """Fine-tune the person row of a COCO detector, and export it.

    Batch normalisation keeps the original's statistics, so that rendered pictures do not spoil it for real ones.

    Args:
        weights: a COCO detector of ultralytics (.pt); the training starts from its own answer for people.
        scenes: folders of rendered scenes, each with images/ and labels/ in YOLO text.
        footage: videos of real people; the original model's detections are their labels.
        out: folder for the labelled footage, checkpoints and `person.onnx`.
        every: of the footage, every N-th frame is used.
        epochs, learning_rate, batch: of the training; the learning rate falls to zero along a cosine.
        hw: height and width in pixels of the network's input.

    Returns:
        The exported ONNX file, input float32 (N, 3, H, W) RGB in [0, 1], output (N, 5, boxes).
    """
    label_footage(YOLO(weights), footage, out / "real", every)
    pictures = [path for folder in (*scenes, out / "real") for path in sorted((folder / "images").glob("*.jpg"))]
    model = person_row(weights)
    trained = [p for number, stage in enumerate(model.model) for p in stage.parameters() if number >= FROZEN_STAGES]
    optimiser = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=5e-4)
    steps = epochs * (len(pictures) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=steps, pct_start=0.1)
    average = torch.optim.swa_utils.AveragedModel(model, avg_fn=_moving_average)
    rng = np.random.default_rng(0)
    for step, (images, targets) in enumerate(_batches(pictures, epochs, batch, hw, rng), start=1):
        model.eval()  # keeps the statistics of batch normalisation; gradients flow all the same
        model.model[-1].train()  # the head gives raw maps, which the loss wants
        loss, parts = model.loss({"img": images, **targets})
        optimiser.zero_grad()
        loss.sum().backward()
        torch.nn.utils.clip_grad_norm_(trained, 10.0)
        optimiser.step()
        schedule.step()
        average.update_parameters(model)
        if step % 10 == 0 or step == steps:
            log.info("step %d of %d: %s", step, steps, {name: round(float(part), 3) for name, part in parts.items()})
            save(average.module, weights, out / "person.pt")
    return export(out / "person.pt", out / "person.onnx", max(hw))


def _moving_average(average: torch.Tensor, now: torch.Tensor, _steps: torch.Tensor | int) -> torch.Tensor:
    return torch.lerp(average, now, 1 - AVERAGE_DECAY)


def person_row(weights: Path) -> DetectionModel:
    """A COCO detector that answers for people only, and for them exactly as before.

    Each of the head's last class convolutions keeps its row for people; nothing else changes.
    """
    model = copy.deepcopy(YOLO(weights).model).float()
    head = model.model[-1]
    for branch in head.cv3:
        last = branch[-1]
        kept = torch.nn.Conv2d(last.in_channels, 1, 1)
        kept.load_state_dict({name: value[PERSON : PERSON + 1] for name, value in last.state_dict().items()})
        branch[-1] = kept
    head.nc = 1
    head.no = head.nc + 4 * head.reg_max
    model.names, model.nc, model.yaml["nc"] = {0: "person"}, 1, 1
    model.args = SimpleNamespace(**LOSS_GAINS)
    for parameter in model.parameters():
        parameter.requires_grad = True
    head.dfl.requires_grad_(False)  # fixed by design: it integrates the box distribution
    return model


def save(model: DetectionModel, weights: Path, path: Path) -> None:
    """Write a checkpoint that ultralytics can load, in one step."""
    checkpoint = torch.load(weights, map_location="cpu", weights_only=False)
    kept = copy.deepcopy(model).eval()
    kept.criterion, kept.args = None, {"task": "detect", "model": "person", "imgsz": 640}
    checkpoint.update(model=kept, ema=None, optimizer=None, train_args=kept.args)
    with replacing(path) as temporary:
        torch.save(checkpoint, temporary)


def export(checkpoint: Path, out: Path, image_size: int) -> Path:
    """Write a checkpoint as ONNX with dynamic batch and picture size."""
    made = YOLO(checkpoint).export(format="onnx", dynamic=True, simplify=False, imgsz=image_size, verbose=False)
    return Path(shutil.move(made, out))


def label_footage(model: YOLO, footage: Iterable[Path], out: Path, every: int) -> None:
    """Write every N-th frame of the footage as JPEG, with the model's detections of people as YOLO labels."""
    (out / "images").mkdir(parents=True, exist_ok=True)
    (out / "labels").mkdir(parents=True, exist_ok=True)
    for path in footage:
        for index, image in _frames(path, every):
            name = f"{path.parent.name}_{path.stem}_{index:06d}"
            if (out / "labels" / f"{name}.txt").exists():  # made by an earlier, interrupted training
                continue
            found = model.predict(image, conf=LABEL_CONFIDENCE, classes=[PERSON], imgsz=LABEL_IMAGE_SIZE, verbose=False)
            rows = [f"0 {' '.join(f'{value:.5f}' for value in box)}" for box in found[0].boxes.xywhn.cpu().numpy()]
            cv2.imwrite(str(out / "images" / f"{name}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            (out / "labels" / f"{name}.txt").write_text("\n".join(rows))


def _frames(path: Path, every: int) -> Iterator[tuple[int, Image]]:
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % every == 0:
                yield index, np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)


def _batches(
    pictures: Sequence[Path], epochs: int, batch: int, hw: tuple[int, int], rng: np.random.Generator
) -> Iterator[tuple[torch.Tensor, dict[str, torch.Tensor]]]:
    """Shuffled batches as ultralytics' loss wants them: images (N, 3, H, W) in [0, 1] and flat lists of boxes."""
    for _ in range(epochs):
        order = rng.permutation(len(pictures))
        for start in range(0, len(pictures) - batch + 1, batch):
            samples = [_augmented(pictures[row], hw, rng) for row in order[start : start + batch]]
            stacked = np.stack([image[..., ::-1] for image, _ in samples]).transpose(0, 3, 1, 2)  # RGB
            boxes = np.concatenate([boxes for _, boxes in samples])  # (M, 4)
            owner = np.repeat(np.arange(len(samples)), [len(boxes) for _, boxes in samples])  # (M,)
            yield (
                torch.from_numpy(np.ascontiguousarray(stacked)).float() / 255,
                {
                    "bboxes": torch.from_numpy(boxes),
                    "cls": torch.zeros(len(boxes), 1),
                    "batch_idx": torch.from_numpy(owner).float(),
                },
            )


def _augmented(path: Path, hw: tuple[int, int], rng: np.random.Generator) -> tuple[Image, Boxes]:
    """One picture and its boxes (M, 4) as centre and size in [0, 1]: mirrored, scaled, shifted and tinted at random."""
    image = read_image(path)
    text = path.parents[1].joinpath("labels", f"{path.stem}.txt").read_text().split()
    boxes = np.array(text, np.float32).reshape(-1, 5)[:, 1:]  # (M, 4)
    height, width = image.shape[:2]
    xyxy = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)
    xyxy *= np.array([width, height] * 2, np.float32)
    if rng.random() < 0.5:
        image = image[:, ::-1]
        xyxy[:, [0, 2]] = width - xyxy[:, [2, 0]]
    scale = min(hw[0] / height, hw[1] / width) * (1.0 if rng.random() < 0.4 else rng.uniform(0.6, 1.6))
    free = np.array([hw[1], hw[0]]) - scale * np.array([width, height])
    shift = free * rng.random(2) if rng.random() < 0.5 else free / 2
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float32)
    image = cv2.warpAffine(
        np.ascontiguousarray(image), matrix, hw[::-1], flags=cv2.INTER_AREA, borderValue=(PAD_GREY,) * 3
    )
    whole = xyxy * scale + np.tile(shift, 2)
    clipped = whole.clip(0, np.array([hw[1], hw[0]] * 2))
    sizes = [(box[:, 2:] - box[:, :2]).prod(1) for box in (clipped, whole)]
    clipped = clipped[sizes[0] > np.maximum(0.2 * sizes[1], 16)]  # what the crop left too little of is not asked for
    gain, tint = rng.uniform(0.6, 1.4), rng.uniform(0.9, 1.1, 3)
    image = (image * (gain * tint)).clip(0, 255).astype(np.uint8)
    centre_size = np.concatenate([(clipped[:, :2] + clipped[:, 2:]) / 2, clipped[:, 2:] - clipped[:, :2]], axis=1)
    return image, (centre_size / np.array([hw[1], hw[0]] * 2)).astype(np.float32)
