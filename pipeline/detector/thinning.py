"""Make the head of a detector thinner: fewer channels, which learn from the head that they replace.

The head of a YOLOv8 for COCO has channels for 80 classes, and takes a third of the network's time; one for people needs
fewer. The thin head learns on footage without labels to give the outputs of the old one (Hinton et al., "Distilling the
knowledge in a neural network", 2015). Backbone and neck stay as they are, so gradients are needed for the head alone.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import openvino as ov
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ...reid.disk.files import replacing
from ...reid.disk.guard import MARK, Guard
from ...reid.engines.float_type import fastest_float
from ..errors import WeightsError
from ..stages.detection.openvino_detector import read_network
from .batches import unlabelled_batches
from .train import MADE_BY, is_own_export

log = logging.getLogger(__name__)

LAYER: Final = re.compile(r"(model\.\d+\.cv[23]\.\d+)\.([012])(?:\.conv)?\.weight$")  # of ultralytics' head
BINS: Final = 16  # of the distribution of each side of a box
LEARNING_RATE: Final = 2e-3
WARM_UP: Final = 0.05  # share of the steps
WEIGHT_DECAY: Final = 5e-4
AVERAGE_DECAY: Final = 0.995  # the written weights are an average over about the last two hundred steps
LOGGED_STEPS: Final = 50

Layers = list[tuple[NDArray[np.float32], NDArray[np.float32]]]  # of three convolutions: weights (O, C, h, w), bias (O,)


@dataclass(frozen=True, slots=True)
class Branch:
    """One of the head's rows of three convolutions: the boxes (cv2) or the confidence (cv3) at one scale.

    Attributes:
        reads: name of the tensor that the first convolution reads.
        writes: name of the tensor that the last one writes.
        weights: names of the weights of the three, as the convolutions read them.
        biases: names of their biases.
    """

    reads: str
    writes: str
    weights: tuple[str, ...]
    biases: tuple[str, ...]


class Head(nn.Module):
    """The branches of a thin head."""

    def __init__(self, branches: Sequence[Layers], channels: int) -> None:
        """Start from the most influential channels of the old head.

        Args:
            branches: the old head's.
            channels: of both inner convolutions of each branch; fewer where the old one has fewer.
        """
        super().__init__()
        self.branches = nn.ModuleList(_thin_branch(layers, channels) for layers in branches)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """maps: for each branch what it reads, (N, C, H, W) → what each writes, (N, O, H, W)."""
        return [branch(one) for branch, one in zip(self.branches, maps, strict=True)]

    def convolutions(self) -> list[list[nn.Conv2d]]:
        """The three convolutions of each branch."""
        return [[one for one in branch.modules() if isinstance(one, nn.Conv2d)] for branch in self.branches]


def thin_detector(
    weights: Path,
    footage: Sequence[Path],
    out: Path,
    channels: int = 32,
    every: int = 10,
    steps: int = 2000,
    batch: int = 16,
    hw: tuple[int, int] = (384, 640),
    force: bool = False,
) -> Path:
    """Give an ONNX detector a thinner head, which learns the old one's outputs on footage without labels.

    Args:
        weights: an ONNX detector with the head of a YOLOv8, as `reidpipe train-detector` and `yolo export` write it.
        footage: videos, and folders of .jpg.
        out: the ONNX file to write.
        channels: of the inner convolutions of the head.
        every: every N-th frame of the footage is used.
        steps: of training.
        batch: images per step.
        hw: height and width of the network's input in training, pixels.
        force: replace `out` also if it is not of an earlier training.

    Returns:
        `out`.

    Raises:
        OutputError: `out` cannot be written, or is an input or another file.
        WeightsError: the detector cannot be read, or has another head.
    """
    Guard([weights, *footage], force=force).check(out, is_own_export)
    read_network(weights)  # raises if it is damaged
    model = onnx.load(weights)
    _unshare(model.graph)
    branches = _branches(model.graph, weights)
    old = [_layers(model.graph, branch) for branch in branches]
    if any(len(layers[-1][1]) != 4 * BINS for layers in old[::2]):
        raise WeightsError(f"{weights}: expected {BINS} bins for each side of a box, as YOLOv8 has them")
    torch.manual_seed(0)
    head = Head(old, channels).to(memory_format=torch.channels_last)
    teacher = _Teacher(model, branches, (batch, 3, *hw))
    images = unlabelled_batches(footage, every, steps, batch, hw, np.random.default_rng(0))
    average = _fit(head, teacher, images, steps)
    for branch, convolutions in zip(branches, average.convolutions(), strict=True):
        _write(model.graph, branch, convolutions)
    if all(entry.key != MADE_BY for entry in model.metadata_props):
        model.metadata_props.add(key=MADE_BY, value=MARK)
    with replacing(out) as temporary:
        onnx.save(model, str(temporary))
    return out


def distillation_loss(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """How far the outputs of a head are from those of another one.

    Args:
        found: of each branch, boxes and confidence at the first scale, at the second, …: logits of the distributions of
            the four sides, float (N, 4 · BINS, H, W), and of the confidences, float (N, classes, H, W).
        wanted: the other head's.

    Returns:
        Two scalars: the cross-entropy of the confidences, and the divergence of the distributions, weighted by the
        other head's confidence; both divided by the sum of its confidences.
    """
    total = confidences = distributions = torch.zeros(())
    for boxes, scores, old_boxes, old_scores in zip(
        found[::2], found[1::2], wanted[::2], wanted[1::2], strict=True
    ):
        truth = old_scores.float().sigmoid()  # (N, classes, H, W)
        confidences = confidences + functional.binary_cross_entropy_with_logits(scores.float(), truth, reduction="sum")
        rows, columns = boxes.shape[2:]
        sides, old_sides = (
            one.float().reshape(-1, 4, BINS, rows, columns).log_softmax(2) for one in (boxes, old_boxes)
        )
        divergence = (old_sides.exp() * (old_sides - sides)).sum((1, 2))  # (N, H, W)
        weight = truth.amax(1)  # (N, H, W)
        distributions = distributions + (divergence * weight).sum()
        total = total + weight.sum()
    return confidences / total.clamp_min(1), distributions / total.clamp_min(1)


class _Teacher:
    """Backbone, neck and the old head, on OpenVINO."""

    def __init__(self, model: onnx.ModelProto, branches: Sequence[Branch], shape: Sequence[int]) -> None:
        inner = onnx.ModelProto()
        inner.CopyFrom(model)
        del inner.graph.output[:]
        names = [*(branch.reads for branch in branches), *(branch.writes for branch in branches)]
        self._names = list(dict.fromkeys(names))
        for name in self._names:
            inner.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
        core = ov.Core()
        network = core.read_model(inner.SerializeToString())
        network.reshape(list(shape))
        self._request = core.compile_model(network, "CPU", fastest_float()).create_infer_request()
        self._columns = [self._names.index(name) for name in names]
        self._branches = len(branches)

    def run(self, images: NDArray[np.float32]) -> tuple[list[Tensor], list[Tensor]]:
        """Images float32 (N, 3, H, W) RGB in [0, 1] → what each branch reads, and what it writes."""
        self._request.infer({0: images})
        found = [torch.from_numpy(self._request.get_output_tensor(column).data.copy()) for column in self._columns]
        return found[: self._branches], found[self._branches :]


def _fit(head: Head, teacher: _Teacher, images: Iterator[NDArray[np.float32]], steps: int) -> Head:
    """The training loop; returns the average of the weights over the last steps."""
    optimiser = torch.optim.AdamW(head.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps, pct_start=WARM_UP)
    decaying_average = get_ema_multi_avg_fn(AVERAGE_DECAY)  # type: ignore[no-untyped-call]
    average = AveragedModel(head, multi_avg_fn=decaying_average)
    for step, pixels in enumerate(images, start=1):
        maps, wanted = teacher.run(pixels)
        with torch.autocast("cpu", torch.bfloat16):
            found = head([one.to(memory_format=torch.channels_last) for one in maps])
        confidence, boxes = distillation_loss(found, wanted)
        optimiser.zero_grad()
        (confidence + boxes).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        average.update_parameters(head)
        if step % LOGGED_STEPS == 0 or step == steps:
            log.info("step %d of %d: confidence %.3f, boxes %.3f", step, steps, confidence.item(), boxes.item())
    assert isinstance(average.module, Head)
    return average.module


def _branches(graph: onnx.GraphProto, path: Path) -> list[Branch]:
    """The head's branches: boxes and confidence at the first scale, at the second, …"""
    found: dict[str, dict[int, onnx.NodeProto]] = {}
    for node in graph.node:
        layer = LAYER.match(node.input[1]) if node.op_type == "Conv" and len(node.input) == 3 else None
        if layer:
            found.setdefault(layer[1], {})[int(layer[2])] = node
    branches = {}
    for name, nodes in found.items():
        if sorted(nodes) == [0, 1, 2]:
            first, second, last = (nodes[index] for index in range(3))
            weights, biases = zip(*((node.input[1], node.input[2]) for node in (first, second, last)), strict=True)
            _, _, kind, scale = name.split(".")
            branches[int(scale), kind] = Branch(first.input[0], last.output[0], weights, biases)
    scales = {scale for scale, _ in branches}
    if not branches or len(branches) != 2 * len(scales):
        raise WeightsError(f"{path}: expected the head of a YOLOv8, two rows of three convolutions at each scale")
    return [branches[key] for key in sorted(branches)]


def _unshare(graph: onnx.GraphProto) -> None:
    """Give every operation constants of its own, in place: exports store equal ones once, behind an Identity."""
    constants = {one.name: one for one in graph.initializer}
    for node in [one for one in graph.node if one.op_type == "Identity" and one.input[0] in constants]:
        graph.initializer.append(constants[node.input[0]])
        graph.initializer[-1].name = node.output[0]
        graph.node.remove(node)


def _layers(graph: onnx.GraphProto, branch: Branch) -> Layers:
    """Weights and biases of a branch's three convolutions."""
    stored = [_stored(graph, name) for name in (*branch.weights, *branch.biases)]
    values = [numpy_helper.to_array(one).astype(np.float32) for one in stored]
    return list(zip(values[:3], values[3:], strict=True))


def _write(graph: onnx.GraphProto, branch: Branch, convolutions: Sequence[nn.Conv2d]) -> None:
    """Put the weights of three convolutions in place of those of a branch, in the number type in which those are."""
    for weights, bias, convolution in zip(branch.weights, branch.biases, convolutions, strict=True):
        assert convolution.bias is not None
        for name, values in ((weights, convolution.weight), (bias, convolution.bias)):
            stored = _stored(graph, name)
            dtype = onnx.helper.tensor_dtype_to_np_dtype(stored.data_type)
            array = np.ascontiguousarray(values.detach().numpy(), dtype)
            stored.CopyFrom(numpy_helper.from_array(array, stored.name))


def _stored(graph: onnx.GraphProto, name: str) -> onnx.TensorProto:
    """The constant of a name; it may be stored in float16 and converted by an operation of its own."""
    sources = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Cast"}
    wanted = sources.get(name, name)
    return next(one for one in graph.initializer if one.name == wanted)


def _thin_branch(layers: Layers, channels: int) -> nn.Sequential:
    """Three convolutions with the channels of the old ones that have the largest weights (Li et al., "Pruning filters
    for efficient ConvNets", ICLR 2017)."""
    thin: list[nn.Module] = []
    read = np.arange(layers[0][0].shape[1])  # the channels of the input that are kept
    for index, (weights, bias) in enumerate(layers):
        rows = np.arange(len(weights))
        if index < len(layers) - 1:
            influence = np.abs(weights).sum((1, 2, 3)) * np.abs(layers[index + 1][0]).sum((0, 2, 3))  # (O,)
            rows = np.sort(np.argsort(-influence, kind="stable")[:channels])
        kernel = weights.shape[2:]
        convolution = nn.Conv2d(len(read), len(rows), kernel, padding=(kernel[0] // 2, kernel[1] // 2))
        assert convolution.bias is not None
        with torch.no_grad():
            convolution.weight.copy_(torch.from_numpy(weights[rows][:, read]))
            convolution.bias.copy_(torch.from_numpy(bias[rows]))
        thin += [convolution, nn.SiLU()]
        read = rows
    return nn.Sequential(*thin[:-1])
