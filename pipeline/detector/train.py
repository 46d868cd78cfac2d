"""Fine-tune the person detector on rendered scenes and on real footage that the original model labels."""

from __future__ import annotations

import copy
import logging
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from ultralytics import YOLO
from ultralytics.nn.tasks import DetectionModel

from ...reid.disk.files import make_folder, replacing, write_new
from ...reid.disk.guard import MARK, Guard
from ...reid.engines.onnx_file import read_metadata
from ..stages.detection.ultralytics_detector import open_yolo
from ..trust import require_data_only
from .batches import JPEG_QUALITY, batches, frames

log = logging.getLogger(__name__)

Image = NDArray[np.uint8]
Boxes = NDArray[np.float32]

PERSON = 0  # COCO's class person
STRIDE = 32  # sides of the network's input are multiples of it
LABEL_CONFIDENCE = 0.3  # detections of the original model below it are not used as labels
LABEL_IMAGE_SIZE = 960  # larger than at inference, for better labels
LABEL_ENLARGEMENT = 1.5  # at most, of small pictures: with more, the boxes of people who fill them end at the knees
LOSS_GAINS = {"box": 7.5, "cls": 0.5, "dfl": 1.5}  # ultralytics' own
BACKBONE_STAGES = 10
BACKBONE_RATE = 0.25  # of the learning rate: features of real images serve for rendered ones, too
AVERAGE_DECAY = 0.995  # the exported weights are an average over about the last two hundred steps
JPEG_BEGINNING = b"\xff\xd8\xff\xfe" + struct.pack(">H", 2 + len(MARK)) + MARK.encode()  # start, and a comment
LARGE_WEIGHT = 1024  # numbers; smaller ones stay in float32
MADE_BY = "made_by"  # key in checkpoint and export, by which later trainings know that they may replace them


def train_detector(
    weights: Path,
    scenes: Sequence[Path],
    footage: Sequence[Path],
    out: Path,
    every: int = 10,
    epochs: int = 4,
    hw: tuple[int, int] = (384, 640),
    learning_rate: float = 3e-4,
    batch: int = 8,
    start_from: Path | None = None,
    kept_backbone: float | None = None,
    force: bool = False,
    trust_weights: bool = False,
) -> Path:
    """Fine-tune a COCO detector for the class person only, and export it.

    Batch normalisation keeps the original statistics, so that rendered images do not degrade it on real ones.

    Args:
        weights: a COCO detector of ultralytics (.pt), which labels the footage and is the starting point.
        scenes: folders of rendered scenes, each with images/ and labels/ in YOLO format.
        footage: videos, and folders of .jpg, of real people; the original model's detections are their labels.
        out: folder for the labelled footage, checkpoints and `person.onnx`.
        every: every N-th frame of the footage is used.
        epochs: passes over all images.
        hw: height and width of the network's input, pixels.
        learning_rate: the maximum; it falls to zero along a cosine.
        batch: images per step.
        start_from: `person.pt` of an earlier training, to go on from it with other images.
        kept_backbone: in [0, 1]: mix the backbone of `start_from` with so much of the original's, and train only the
            rest of the network. What an average of the two forgets of real footage is less than what training forgets
            (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).
        force: replace files in `out` that are not of an earlier training, too.
        trust_weights: must be set, because a .pt of ultralytics can run any program when it is loaded.

    Returns:
        The exported ONNX file, input float32 (N, 3, H, W) RGB in [0, 1], output (N, 5, boxes).

    Raises:
        OutputError: `out` cannot be written, or holds an input or other files of these names.
        WeightsError: the weights are not trusted, or cannot be loaded.
    """
    require_data_only("--weights", str(weights), trust_weights)
    starts = [] if start_from is None else [start_from]
    for path in starts:
        require_data_only("--start-from", str(path), trust_weights)
    guard = Guard([weights, *starts, *scenes, *footage], force=force)
    guard.check(out / "person.pt", _is_own_checkpoint)
    guard.check(out / "person.onnx", is_own_export)
    for part in ("images", "labels"):
        make_folder(out / "real" / part)
    labeller = open_yolo(str(weights), "--weights")
    model = keep_person_class(start_from or weights)
    label_footage(labeller, footage, out / "real", every, guard)
    images = [path for folder in (*scenes, out / "real") for path in sorted((folder / "images").glob("*.jpg"))]
    if kept_backbone is not None:
        keep_backbone(model, keep_person_class(weights), kept_backbone)
    _fit(model, images, epochs, batch, hw, learning_rate, lambda average: save(average, weights, out / "person.pt"))
    return export(out / "person.pt", out / "person.onnx", max(hw))


def _fit(
    model: DetectionModel,
    images: Sequence[Path],
    epochs: int,
    batch: int,
    hw: tuple[int, int],
    learning_rate: float,
    keep: Callable[[DetectionModel], None],
) -> None:
    """The training loop; `keep` receives the average of the weights now and then, and at the end."""
    model.to(memory_format=torch.channels_last)
    parts = [list(stage.parameters()) for stage in model.model]
    backbone, rest = (
        [p for stage in stages for p in stage if p.requires_grad]
        for stages in (parts[:BACKBONE_STAGES], parts[BACKBONE_STAGES:])
    )
    rates = [BACKBONE_RATE * learning_rate, learning_rate]
    groups = [{"params": some, "lr": rate} for some, rate in zip((backbone, rest), rates, strict=True)]
    optimiser = torch.optim.AdamW(groups, weight_decay=5e-4)
    steps = epochs * (len(images) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, total_steps=steps, pct_start=0.1)
    decaying_average = get_ema_multi_avg_fn(AVERAGE_DECAY)  # type: ignore[no-untyped-call]
    average = AveragedModel(model, multi_avg_fn=decaying_average)
    rng = np.random.default_rng(0)
    for step, (pixels, targets) in enumerate(batches(images, epochs, batch, hw, rng), start=1):
        model.eval()  # keeps the statistics of batch normalisation; gradients still flow
        model.model[-1].train()  # the head returns the raw maps that the loss needs
        with torch.autocast("cpu", torch.bfloat16):
            maps = model.predict(pixels.to(memory_format=torch.channels_last))
        loss, parts_of_loss = model.loss(targets, _in_float(maps))
        optimiser.zero_grad()
        loss.sum().backward()
        torch.nn.utils.clip_grad_norm_([*backbone, *rest], 10.0)
        optimiser.step()
        schedule.step()
        average.update_parameters(model)
        if step % 50 == 0 or step == steps:
            values = {name: round(float(part), 3) for name, part in parts_of_loss.items()}
            log.info("step %d of %d: %s", step, steps, values)
            keep(average.module)


def _in_float(maps: Mapping[str, torch.Tensor | list[torch.Tensor]]) -> dict[str, torch.Tensor | list[torch.Tensor]]:
    """The head's outputs as float32, in which the loss is computed."""
    return {
        name: [one.float() for one in value] if isinstance(value, list) else value.float()
        for name, value in maps.items()
    }


def keep_person_class(weights: Path) -> DetectionModel:
    """A detector of COCO's classes, or of people alone, reduced to the class person; its outputs for it stay the same.

    The last class convolutions of the head keep the row of that class; nothing else changes.
    """
    model = copy.deepcopy(open_yolo(str(weights), "detector").model).float()
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
    head.dfl.requires_grad_(False)  # constant by design: it integrates the box distribution
    return model


def keep_backbone(model: DetectionModel, original: DetectionModel, share: float) -> None:
    """Replace a model's backbone by an average with the original's, of which `share` is the original's; freeze it."""
    for own, first in zip(model.model[:BACKBONE_STAGES], original.model[:BACKBONE_STAGES], strict=True):
        before = first.state_dict()
        own.load_state_dict({
            name: torch.lerp(value, before[name], share) if value.is_floating_point() else value
            for name, value in own.state_dict().items()})
        own.requires_grad_(False)


def save(model: DetectionModel, weights: Path, path: Path) -> None:
    """Atomically write a checkpoint that ultralytics can load."""
    checkpoint = torch.load(weights, map_location="cpu", weights_only=False)
    kept = copy.deepcopy(model).eval()
    kept.criterion, kept.args = None, {"task": "detect", "model": "person", "imgsz": 640}
    checkpoint.update(model=kept, ema=None, optimizer=None, train_args=kept.args, **{MADE_BY: MARK})
    with replacing(path) as temporary:
        torch.save(checkpoint, temporary)


def export(checkpoint: Path, out: Path, image_size: int) -> Path:
    """Export a checkpoint as ONNX with dynamic batch and image size, with weights stored in float16."""
    with tempfile.TemporaryDirectory() as folder, replacing(out) as temporary:
        own = shutil.copy(checkpoint, folder)  # ultralytics writes beside the checkpoint
        exported = YOLO(own).export(format="onnx", dynamic=True, simplify=False, imgsz=image_size, verbose=False)
        graph = onnx.load(exported)
        graph.metadata_props.add(key=MADE_BY, value=MARK)
        _store_in_half_precision(graph.graph)
        onnx.save(graph, str(temporary))
    return out


def _store_in_half_precision(graph: onnx.GraphProto) -> None:
    """Store large weights as float16; a cast in the graph makes them float32 when the network is loaded."""
    for weight in graph.initializer:
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype == np.float32 and values.size >= LARGE_WEIGHT:
            name = weight.name
            weight.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
            cast = onnx.helper.make_node("Cast", [weight.name], [name], f"{name}_cast", to=onnx.TensorProto.FLOAT)
            graph.node.insert(0, cast)


def _is_own_jpeg(path: Path) -> bool:
    return path.read_bytes().startswith(JPEG_BEGINNING)


def _is_own_checkpoint(path: Path) -> bool:
    """Whether `save` wrote a file; nothing in it is unpickled."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(MADE_BY.encode() in archive.read(name) for name in archive.namelist() if "data.pkl" in name)
    except zipfile.BadZipFile:
        return False


def is_own_export(path: Path) -> bool:
    """Whether an ONNX file is of this program."""
    try:
        return read_metadata(path).get(MADE_BY) == MARK
    except DecodeError:
        return False


def label_footage(model: YOLO, footage: Iterable[Path], out: Path, every: int, guard: Guard) -> None:
    """Write every N-th frame of the footage as JPEG, with the model's person detections as YOLO labels."""
    for path in footage:
        for index, image in frames(path, every):
            name = f"{path.parent.name}_{path.stem}_{index:06d}"
            if (out / "labels" / f"{name}.txt").exists():  # written by an earlier, interrupted training
                continue
            size = min(LABEL_IMAGE_SIZE, STRIDE * round(LABEL_ENLARGEMENT * max(image.shape[:2]) / STRIDE))
            found = model.predict(image, conf=LABEL_CONFIDENCE, classes=[PERSON], imgsz=size, verbose=False)
            rows = [f"0 {' '.join(f'{value:.5f}' for value in box)}" for box in found[0].boxes.xywhn.cpu().numpy()]
            _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            picture, labels = out / "images" / f"{name}.jpg", out / "labels" / f"{name}.txt"
            guard.check(picture, _is_own_jpeg)
            write_new(picture, JPEG_BEGINNING + jpeg.tobytes()[2:])
            write_new(labels, "\n".join(rows).encode())
