"""How the bundled person detector is trained: rendered scenes, and real footage labelled by the original model."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from ..trackers import silence_ultralytics

silence_ultralytics()

from ultralytics import YOLO  # noqa: E402
from ultralytics.models.yolo.detect import DetectionTrainer  # noqa: E402
from ultralytics.nn.tasks import DetectionModel  # noqa: E402

PERSON = 0  # the row of the class person in COCO
LABEL_CONFIDENCE = 0.3  # what the original model is at least this sure of is a label; the rest is left unlabelled
JPEG_QUALITY = 92


def train_detector(
    weights: Path, scenes: Sequence[Path], footage: Sequence[Path], out: Path,
    every: int = 4, epochs: int = 6, image_size: int = 640, learning_rate: float = 5e-4, batch: int = 8,
) -> Path:
    """Fine-tune the person row of a COCO detector, and export it.

    Args:
        weights: a COCO detector of ultralytics (.pt); the training starts from its own answer for people.
        scenes: folders of rendered scenes, each with images/ and labels/ in YOLO text.
        footage: videos of real people; the original model's detections are their labels.
        out: folder for data, checkpoints and `person.onnx`.
        every: of the footage, every N-th frame is used.
        epochs, image_size, learning_rate, batch: of the training.

    Returns:
        The exported ONNX file, input float32 (N, 3, H, W) RGB in [0, 1], output (N, 5, boxes).
    """
    real = out / "real"
    label_footage(YOLO(weights), footage, real, every)
    listing = out / "data.yaml"
    folders = [str((folder / "images").resolve()) for folder in (*scenes, real)]
    listing.write_text(yaml.safe_dump({"train": folders, "val": folders[:1], "names": {0: "person"}}))
    options = {
        "model": str(weights), "data": str(listing), "project": str(out.resolve()), "name": "fit", "exist_ok": True,
        "epochs": epochs, "imgsz": image_size, "batch": batch, "lr0": learning_rate, "lrf": 0.05, "optimizer": "AdamW",
        "warmup_epochs": 0.5, "warmup_bias_lr": 0.0, "rect": True, "workers": 0, "val": False, "plots": False,
        "device": "cpu", "seed": 0, "freeze": 5, "mosaic": 0.0, "scale": 0.4, "translate": 0.1, "hsv_h": 0.02,
        "save_period": 1, "amp": False, "single_cls": True,
    }
    trainer = PersonTrainer(overrides=options)
    trainer.train()
    return export(Path(trainer.last), out / "person.onnx", image_size)


def person_row(weights: Path) -> DetectionModel:
    """A COCO detector that answers for people only, and for them exactly as before.

    Each of the head's last class convolutions keeps its row for people; nothing else changes.
    """
    model = copy.deepcopy(YOLO(weights).model).float()
    head = model.model[-1]
    for branch in head.cv3:
        last = branch[-1]
        kept = torch.nn.Conv2d(last.in_channels, 1, 1)
        kept.weight.data = last.weight.data[PERSON : PERSON + 1].clone()  # (1, C, 1, 1)
        kept.bias.data = last.bias.data[PERSON : PERSON + 1].clone()  # (1,)
        branch[-1] = kept
    head.nc = 1
    head.no = head.nc + 4 * head.reg_max
    model.names, model.nc = {0: "person"}, 1
    model.yaml["nc"] = 1
    for parameter in model.parameters():
        parameter.requires_grad = True
    return model


class PersonTrainer(DetectionTrainer):  # type: ignore[misc]
    """ultralytics' trainer, started from the person row instead of from a fresh head."""

    def get_model(self, cfg: object = None, weights: object = None, verbose: bool = True) -> DetectionModel:
        """The network to train."""
        return person_row(Path(self.args.model))


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
            found = model.predict(image, conf=LABEL_CONFIDENCE, classes=[PERSON], imgsz=960, verbose=False)[0]
            rows = [f"0 {' '.join(f'{value:.5f}' for value in box)}" for box in found.boxes.xywhn.cpu().numpy()]
            cv2.imwrite(str(out / "images" / f"{name}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            (out / "labels" / f"{name}.txt").write_text("\n".join(rows))


def _frames(path: Path, every: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % every == 0:
                yield index, frame.to_ndarray(format="bgr24")
