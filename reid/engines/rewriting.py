"""Rewrite networks so that OpenVINO computes the same with less work."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import openvino

NOT_FUNCTIONS: Final = ("Parameter", "Result", "If", "Loop", "TensorIterator")  # attributes do not tell what they give
PER_CHANNEL: Final = ("Add", "Subtract", "Multiply", "Divide")
ROWS, COLUMNS, CHANNELS = 1, 2, 3  # axes of an image, (1, H, W, C)


@dataclass
class _Gate:
    """What is computed from nothing but the mean of a map over its cells, and constants.

    pooled: that mean.
    upstream: the means that it depends on, as bits.
    results: what the rest of the network reads of it, by node and output.
    """

    pooled: openvino.Node
    upstream: int
    results: dict[tuple[str, int], openvino.Output] = field(default_factory=dict)


def merge_gates(model: openvino.Model) -> None:
    """Compute gates with the same weights, as the streams of an OSNet block have, as one batch, in place.

    Their operations are so small that starting one costs more than computing it, and four gates take a quarter of them.
    Besides, OpenVINO fuses a single gate's sigmoid with the product behind it, and then computes it for every cell of
    the map; it cannot do so with a part of a batch.

    Args:
        model: for any number of images.
    """
    from openvino import opset13 as operators

    for gates in _equal_gates(model):
        results = [result for gate in gates for result in gate.results.values()]
        readers = [list(result.get_target_inputs()) for result in results]
        entries = list(gates[0].pooled.output(0).get_target_inputs())
        batch = operators.concat([gate.pooled.output(0) for gate in gates], 0)
        for entry in entries:
            entry.replace_source_output(batch.output(0))
        parts = operators.split(results[0], operators.constant(np.int64(0)), len(gates))
        for part, those in zip(parts.outputs(), readers, strict=True):
            for reader in those:
                reader.replace_source_output(part)
    model.validate_nodes_and_infer_types()


def _equal_gates(model: openvino.Model) -> list[list[_Gate]]:
    """Groups of two gates or more that compute the same function and do not depend on each other."""
    gates: list[_Gate] = []
    gate_of: dict[str, int] = {}  # of nodes that belong to a gate
    upstream: dict[str, int] = {}
    functions: dict[str, int] = {}  # of constants and of nodes of a gate: equal ones have the same number
    numbers: dict[Hashable, int] = {}
    for node in model.get_ordered_ops():
        name, op, values = node.get_name(), node.get_type_name(), node.input_values()
        sources = [value.get_node().get_name() for value in values]
        upstream[name] = reduce(or_, (upstream[source] for source in sources), 0)
        within = {gate_of[source] for source in sources if source in gate_of}
        function: Hashable = None
        if op == "Constant":
            function = str(node.get_attributes()), hashlib.sha256(node.data.tobytes()).digest()
        elif op not in NOT_FUNCTIONS and len(within) <= 1 and all(source in functions for source in sources):
            inputs = tuple((functions[value.get_node().get_name()], value.get_index()) for value in values)
            function = op, str(node.get_attributes()), inputs
            gate_of.update((name, gate) for gate in within)
        else:
            for source, value in zip(sources, values, strict=True):
                if source in gate_of:
                    gates[gate_of[source]].results[source, value.get_index()] = value
            if op == "ReduceMean" and _has_one_cell(node.output(0)):
                function, gate_of[name] = (op, str(node.get_output_partial_shape(0))), len(gates)
                gates.append(_Gate(node, upstream[name]))
                upstream[name] |= 1 << gate_of[name]
        if function is not None:
            functions[name] = numbers.setdefault(function, len(numbers))
    groups: dict[Hashable, list[_Gate]] = {}
    for gate in gates:
        if len(gate.results) != 1:
            continue
        ((name, index), result), *_ = gate.results.items()
        if name != gate.pooled.get_name() and _has_one_cell(result):
            # Of two gates that depend on the same means, none depends on the other.
            groups.setdefault((functions[name], index, gate.upstream), []).append(gate)
    return [group for group in groups.values() if len(group) > 1]


def _has_one_cell(value: openvino.Output) -> bool:
    """Whether a value has the shape (N, C, 1, 1), for any number of images N."""
    shape = value.partial_shape
    known = shape.rank.is_static and len(shape) == 4
    return known and shape[0].is_dynamic and bool(shape[2] == 1 and shape[3] == 1)


def scale_outside(model: openvino.Model) -> tuple[int, int] | None:
    """Leave out that a network scales its image first, in place: OpenVINO takes six times as long as OpenCV.

    Args:
        model: its input is one image of fixed size, (1, H, W, C).

    Returns:
        The columns and rows of the image that it takes then, scaled bilinearly; None for a network that stays as it is.
    """
    from openvino import PartialShape

    image = value = model.inputs[0]
    axes: tuple[int, ...] = (0, ROWS, COLUMNS, CHANNELS)  # of the image, in the order of those of `value`
    node = _only_reader(value)
    while node is not None and node.get_type_name() != "Interpolate":
        found = _axes_after(node, axes)
        if found is None:
            return None
        axes, value = found, node.output(0)
        node = _only_reader(value)
    if node is None or not _is_bilinear(node):
        return None
    size = {axis: int(after) for axis, after in zip(axes, node.output(0).shape, strict=True)}
    for reader in node.output(0).get_target_inputs():
        reader.replace_source_output(value)
    image.get_node().set_partial_shape(PartialShape([1, size[ROWS], size[COLUMNS], image.shape[CHANNELS]]))
    model.validate_nodes_and_infer_types()
    return size[COLUMNS], size[ROWS]


def _only_reader(value: openvino.Output) -> openvino.Node | None:
    """The one node that reads a value, as its first input and beside constants; None if there is no such node."""
    readers = list(value.get_target_inputs())
    shape = value.partial_shape
    if len(readers) != 1 or readers[0].get_index() != 0 or shape.is_dynamic or len(shape) != 4:
        return None
    node = readers[0].get_node()
    constants = [one.get_node().get_type_name() == "Constant" for one in node.input_values()[1:]]
    return node if all(constants) else None


def _axes_after(node: openvino.Node, axes: tuple[int, ...]) -> tuple[int, ...] | None:
    """The order of axes behind an operation that gives the same before and after scaling; None for any other."""
    op, constants = node.get_type_name(), [one.get_node().data for one in node.input_values()[1:]]
    if op == "Transpose":
        return tuple(axes[axis] for axis in constants[0].tolist()) or None
    if op == "Gather":  # BGR to RGB
        same = constants[0].ndim == 1 and axes[int(constants[1])] == CHANNELS
    elif op in PER_CHANNEL:
        sizes = (1,) * (4 - constants[0].ndim) + constants[0].shape  # longer if the result has more axes
        same = len(sizes) == 4 and all(size == 1 or axis == CHANNELS for size, axis in zip(sizes, axes, strict=True))
    else:
        same = op == "Convert" and node.get_output_element_type(0).is_real()
    return axes if same else None


def _is_bilinear(node: openvino.Node) -> bool:
    """Whether an interpolation is what OpenCV computes: bilinear, by factors that give whole numbers of pixels."""
    expected = {"shape_calculation_mode": "scales", "coordinate_transformation_mode": "half_pixel", "antialias": False}
    given = node.get_attributes()
    padded = any(given["pads_begin"]) or any(given["pads_end"])
    if given["mode"] not in ("linear", "linear_onnx") or padded or not expected.items() <= given.items():
        return False
    before, after = node.get_input_shape(0), node.get_output_shape(0)
    scales = node.input_value(1).get_node().data
    return scales.shape == (4,) and np.array_equal(np.array(before) * scales, after)
