"""Read a network in OpenVINO's intermediate representation (.xml and .bin) as a trainable backbone.

Supported are the operations of convolutional re-identification networks, such as the four of the Open Model Zoo
(person-reidentification-retail-0277, -0286, -0287 and -0288, Apache-2.0), whose architecture resembles OSNet-AIN (Zhou
et al., 2021).  Every floating-point constant of the file becomes a parameter.  A constant that several operations use
becomes one shared parameter, so channel gates that OSNet's streams share stay shared.

A checkpoint stores the graph as text (`OpenVinoBackbone.graph`), so it can be read without the .xml.

A network can compute at a smaller size than it was made for: crops are scaled down inside of it, and its deepest map is
scaled up again, so that its pooling, which may have a weight per cell, stays as it was [ours].
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ..crops import HEIGHT_PX
from ..disk.files import failing_as
from ..errors import WeightsError
from .protocol import Backbone, BackboneOutput
from .scaling import Size, scaled

NUMBERS = {"f16": np.float16, "f32": np.float32, "i32": np.int32, "i64": np.int64}
FLOATS = ("f16", "f32")
MAPS = 4  # feature maps of a backbone
Step = dict[str, Any]  # op, inputs (steps; -1 is the image), constants, shape without the batch, attributes
Attributes = dict[str, Any]
Operation = Callable[[list[Tensor], Step], Tensor]


class OpenVinoBackbone(Backbone):
    """A graph of OpenVINO operations as a module; its maps are the last outputs of each of the four smallest sizes.

    graph: the operations, the shapes of their constants and the height at which they compute, as JSON.
    """

    graph: str

    def __init__(self, graph: str) -> None:
        """Build the operations; every parameter is 0 until weights are loaded.

        Args:
            graph: as `read_graph` returns it.
        """
        super().__init__()
        self.graph = graph
        described = json.loads(graph)
        self.steps: list[Step] = described["steps"]
        self.constants = nn.ParameterList(torch.zeros(shape) for shape in described["constants"])
        self.map_steps = _map_steps(self.steps)
        channels = [self.steps[step]["shape"][0] for step in self.map_steps]
        self.map_channels = (channels[0], channels[1], channels[2], channels[3])
        made_for = [tuple(self.steps[step]["shape"][1:]) for step in self.map_steps]
        self.scale: float = described.get("height_px", HEIGHT_PX) / HEIGHT_PX
        self.computed = [(round(rows * self.scale), round(columns * self.scale)) for rows, columns in made_for]
        self.returned = [_whole_cells(size, made_for[-1]) for size in self.computed]
        self.dimensions = self.steps[-1]["shape"][0]
        self.mean_rgb, self.std_rgb = (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)  # the graph normalises its input
        self.camera = None

    def forward(self, images: Tensor, camids: Tensor | None = None) -> BackboneOutput:
        """images: float (N, 3, 256, 128), RGB, 0 to 255; `camids` are not used."""
        if self.scale != 1:
            images = functional.interpolate(images, scale_factor=self.scale, mode="bilinear", align_corners=False)
        outputs = {-1: images[:, [2, 1, 0]]}  # the graph takes BGR
        deepest = self.map_steps[-1]
        self._run(outputs, range(deepest + 1))
        sizes = zip(self.map_steps, self.computed, self.returned, strict=True)
        maps = [scaled(outputs[step], before, after) for step, before, after in sizes]
        outputs[deepest] = maps[-1]
        self._run(outputs, range(deepest + 1, len(self.steps)))
        return BackboneOutput((maps[0], maps[1], maps[2], maps[3]), outputs[len(self.steps) - 1])

    def pool(self, deepest: Tensor, weights: Tensor) -> Tensor:
        """As `Backbone.pool`: the map is weighted before the network's own pooling."""
        pooled = self.map_steps[-1]
        cells = deepest.shape[2] * deepest.shape[3]
        outputs = {pooled: deepest * (weights * cells)[:, None]}
        self._run(outputs, range(pooled + 1, len(self.steps)))
        return outputs[len(self.steps) - 1]

    def _run(self, outputs: dict[int, Tensor], numbers: range) -> None:
        """Compute some steps and add their outputs to `outputs`, in place."""
        for number in numbers:
            step = self.steps[number]
            given = [outputs[one] for one in step["inputs"]] + [self.constants[one] for one in step["constants"]]
            outputs[number] = _OPERATIONS[step["op"]](given, step)


def create_openvino_backbone(pretrained: Path | None, graph: str, height_px: int | None = None) -> OpenVinoBackbone:
    """Create a backbone from an .xml with the .bin beside it, or without weights from the `graph` in a checkpoint.

    Args:
        pretrained: the .xml, or None.
        graph: as `read_graph` returns it; used where `pretrained` is None.
        height_px: compute at this height and half that width, with `pretrained`; None for the size of the file.

    Raises:
        WeightsError: neither is given; or the file is missing, unreadable or holds an unsupported operation.
    """
    if pretrained is None:
        if not graph:
            raise WeightsError("backbone openvino: expected the .xml of a network as pretrained, got none")
        return OpenVinoBackbone(graph)
    graph, constants = read_graph(pretrained)
    if height_px is not None:
        graph = json.dumps(json.loads(graph) | {"height_px": height_px})
    backbone = OpenVinoBackbone(graph)
    with torch.no_grad():
        for parameter, constant in zip(backbone.constants, constants, strict=True):
            parameter.copy_(torch.from_numpy(constant))
    return backbone


def read_graph(path: Path) -> tuple[str, list[NDArray[np.float32]]]:
    """Read an .xml and the .bin beside it.

    Returns:
        The graph as JSON, and its constants in the order of that text.

    Raises:
        WeightsError: as `create_openvino_backbone`.
    """
    binary = path.with_suffix(".bin")
    for file in (path, binary):
        with failing_as(WeightsError, file):
            if not file.is_file():
                raise WeightsError(f"{file}: no such file of an OpenVINO network")
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise WeightsError(f"{path}: not a readable OpenVINO network: {error}") from error
    reader = _Reader(path, root, binary.read_bytes())
    try:
        reader.read()
    except (KeyError, ValueError, IndexError, AttributeError) as error:
        raise WeightsError(f"{path}: not an OpenVINO network that can be trained: {error!r}") from error
    steps, constants = reader.steps, reader.constants
    return json.dumps({"constants": [list(one.shape) for one in constants], "steps": steps}), constants


class _Reader:
    """Collects the layers in topological order, from the result backwards; integer constants become attributes."""

    def __init__(self, path: Path, root: ElementTree.Element, binary: bytes) -> None:
        self.path, self.binary = path, binary
        self.layers = {layer.get("id"): layer for layer in root.iterfind("layers/layer")}
        sources: dict[str | None, dict[int, str]] = {name: {} for name in self.layers}
        for edge in root.iterfind("edges/edge"):
            sources[edge.get("to-layer")][int(edge.attrib["to-port"])] = edge.attrib["from-layer"]
        self.sources = {name: [ports[port] for port in sorted(ports)] for name, ports in sources.items()}
        self.steps: list[Step] = []
        self.constants: list[NDArray[np.float32]] = []
        self.numbers: dict[str, int] = {}  # layer to step
        self.groups: dict[int, int] = {}  # constant to G, where it is the weight of a GroupConvolution
        self.places: dict[tuple[str, ...], int] = {}  # offset, shape and type in the .bin to constant

    def read(self) -> None:
        (result,) = (name for name, layer in self.layers.items() if layer.get("type") == "Result")
        waiting = [self.sources[result][0]]
        while waiting:
            layer = waiting[-1]
            missing = [one for one in self._tensors(layer) if one not in self.numbers]
            if missing:
                waiting += missing
                continue
            if layer not in self.numbers:
                self._add(layer)
            waiting.pop()

    def _tensors(self, layer: str) -> list[str]:
        """The inputs that are computed from the image, without the target shape of a Reshape."""
        inputs = self.sources[layer][:1] if self.layers[layer].get("type") == "Reshape" else self.sources[layer]
        return [one for one in inputs if self._constant(one) is None]

    def _constant(self, layer: str) -> ElementTree.Element | None:
        while self.layers[layer].get("type") == "Convert":
            layer = self.sources[layer][0]
        return self.layers[layer] if self.layers[layer].get("type") == "Const" else None

    def _add(self, layer: str) -> None:
        element = self.layers[layer]
        op = element.attrib["type"]
        if op == "Parameter":
            self.numbers[layer] = -1
            return
        if op not in _OPERATIONS:
            known = ", ".join(sorted(_OPERATIONS))
            raise WeightsError(f"{self.path}: expected only supported operations ({known}), got {op}")
        data = element.find("data")
        step: Step = {
            "op": op,
            "inputs": [self.numbers[one] for one in self._tensors(layer)],
            "constants": [],
            "shape": [int(dim.text or "") for dim in element.findall("output/port")[0].findall("dim")[1:]],
            "attributes": {} if data is None else _attributes(data.attrib),
            "integers": [],
        }
        for position, one in enumerate(self.sources[layer] if op != "Reshape" else ()):
            constant = self._constant(one)
            if constant is None:
                continue
            if position == 0 and op in ("Subtract", "MatMul", "Gather"):
                raise WeightsError(f"{self.path}: {op}: expected its first input to depend on the image")
            self._take(step, constant)
        if op == "GroupConvolution":  # (G, c, i, h, w) in the file
            step["attributes"]["groups"] = self._grouped(step["constants"][0])
        if self._is_bias(step):
            convolution = step["inputs"][0]
            self.steps[convolution]["constants"] += step["constants"]
            self.numbers[layer] = convolution
            return
        self.steps.append(step)
        self.numbers[layer] = len(self.steps) - 1

    def _grouped(self, constant: int) -> int:
        """Flatten a weight (G, c, i, h, w) to (G · c, i, h, w), as PyTorch has it; returns G."""
        weight = self.constants[constant]
        if constant not in self.groups:  # a shared weight is flattened once
            self.groups[constant] = weight.shape[0]
            self.constants[constant] = weight.reshape(-1, *weight.shape[2:])
        return self.groups[constant]

    def _is_bias(self, step: Step) -> bool:
        """Whether an addition is the bias of the convolution just before it: OpenVINO's convolutions have none."""
        if step["op"] != "Add" or len(step["inputs"]) != 1 or step["inputs"][0] != len(self.steps) - 1:
            return False
        before = self.steps[-1]
        per_channel = self.constants[step["constants"][0]].size == step["shape"][0]
        return "Convolution" in before["op"] and len(before["constants"]) == 1 and per_channel

    def _take(self, step: Step, constant: ElementTree.Element) -> None:
        data = constant.find("data")
        assert data is not None
        place = (data.attrib["offset"], data.attrib["shape"], data.attrib["element_type"])
        start, size = int(data.attrib["offset"]), int(data.attrib["size"])
        shape = [int(dim) for dim in data.attrib["shape"].split(",") if dim.strip()]
        values = np.frombuffer(self.binary[start : start + size], NUMBERS[place[2]]).reshape(shape)
        if place[2] not in FLOATS:
            step["integers"].append(values.ravel().tolist())
            return
        if place not in self.places:
            self.places[place] = len(self.constants)
            self.constants.append(values.astype(np.float32))
        step["constants"].append(self.places[place])


def _attributes(given: dict[str, str]) -> Attributes:
    """The attributes that the operations below use, with lists of integers parsed."""
    lists = ("strides", "dilations", "pads_begin", "pads_end", "kernel")
    attributes: Attributes = {name: [int(one) for one in given[name].split(",")] for name in lists if name in given}
    if attributes.get("pads_begin") != attributes.get("pads_end"):
        raise ValueError("expected symmetric padding")
    attributes |= {name: given[name] for name in ("transpose_a", "transpose_b", "exclude-pad") if name in given}
    if "eps" in given:
        attributes["eps"] = float(given["eps"])
    return attributes


def _map_steps(steps: list[Step]) -> list[int]:
    """The last step of each of the four smallest map sizes above 1×1, in descending size."""
    last = {tuple(step["shape"][1:]): number for number, step in enumerate(steps) if len(step["shape"]) == 3}
    sizes = sorted((size for size in last if min(size) > 1), key=lambda size: -size[0] * size[1])
    if len(sizes) < MAPS:
        raise WeightsError(f"backbone openvino: expected maps of {MAPS} sizes or more, got {len(sizes)}")
    chosen = [last[size] for size in sizes[-MAPS:]]
    if any(one < chosen[-1] for step in steps[chosen[-1] + 1 :] for one in step["inputs"]):
        raise WeightsError("backbone openvino: expected the feature to depend on the deepest map alone")
    return chosen


def _whole_cells(size: Size, cells: Size) -> Size:
    """The largest size within `size`, but no smaller than `cells`, that whole cells fill."""
    rows, columns = (max(1, one // many) * many for one, many in zip(size, cells, strict=True))
    return rows, columns


def _convolution(given: list[Tensor], step: Step) -> Tensor:
    attributes, bias = step["attributes"], given[2].flatten() if len(given) > 2 else None
    places = attributes["strides"], attributes["pads_begin"], attributes["dilations"]
    return functional.conv2d(given[0], given[1], bias, *places, attributes.get("groups", 1))


def _pool(given: list[Tensor], step: Step) -> Tensor:
    attributes = step["attributes"]
    window = attributes["kernel"], attributes["strides"], attributes["pads_begin"]
    if step["op"] == "MaxPool":
        return functional.max_pool2d(given[0], *window)
    return functional.avg_pool2d(given[0], *window, count_include_pad=attributes["exclude-pad"] == "false")


def _normalise(given: list[Tensor], step: Step) -> Tensor:
    """Normalise to mean 0 and variance 1 over some axes (MVN)."""
    x, eps = given[0], step["attributes"]["eps"]
    axes = sorted(axis % x.dim() for axis in step["integers"][0])
    if axes == [2, 3]:
        return functional.instance_norm(x, eps=eps)
    centred: Tensor = x - x.mean(axes, keepdim=True)
    scale: Tensor = (centred.square().mean(axes, keepdim=True) + eps).rsqrt()
    return centred * scale


def _product(given: list[Tensor], step: Step) -> Tensor:
    left, right = given
    left = left.transpose(-1, -2) if step["attributes"].get("transpose_a") == "true" else left
    return left @ (right.transpose(-1, -2) if step["attributes"].get("transpose_b") == "true" else right)


def _gather(given: list[Tensor], step: Step) -> Tensor:
    indices, axis = step["integers"]
    if axis != [1]:
        raise WeightsError(f"backbone openvino: expected to gather channels, axis 1, got {axis}")
    return given[0][:, indices]


_OPERATIONS: dict[str, Operation] = {
    "Convolution": _convolution,
    "GroupConvolution": _convolution,
    "MaxPool": _pool,
    "AvgPool": _pool,
    "MVN": _normalise,
    "MatMul": _product,
    "Gather": _gather,
    "Add": lambda given, _: given[0] + given[1],
    "Subtract": lambda given, _: given[0] - given[1],
    "Multiply": lambda given, _: given[0] * given[1],
    "Concat": lambda given, _: torch.cat(given, 1),
    "ReLU": lambda given, _: functional.relu(given[0]),
    "PReLU": lambda given, _: functional.prelu(given[0], given[1].flatten()),
    "Sigmoid": lambda given, _: given[0].sigmoid(),
    "ReduceMean": lambda given, step: given[0].mean(step["integers"][0], keepdim=True),
    "Reshape": lambda given, step: given[0].reshape(given[0].shape[0], *step["shape"]),
}
