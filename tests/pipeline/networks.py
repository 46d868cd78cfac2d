"""Generate tiny ONNX networks with known outputs."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from reidpipe.reid.embedder import FORMAT_VERSION, KIND

PERSON = [[320, 240, 60, 140, 0.9]]  # one person in the middle of a 640 x 480 input, for `write_detector`


def write_detector(path: Path, boxes, names="{0: 'person'}", scale_by_red=False, task="detect", hw=("height", "width")):
    """Write a detector that finds the same boxes in every image.

    Args:
        path: where to write it.
        boxes: rows of centre x, centre y, width, height, then one confidence per class, in network pixels.
        names: the class names, as ultralytics writes them into its exports.
        scale_by_red: multiply the confidences by the mean of the red channel, to check the channel order.
        hw: fixed height and width, or names for dynamic ones.
    """
    table = np.asarray(boxes, np.float32).T[None]  # (1, 4 + classes, boxes)
    scale = np.ones_like(table[:, :, :1])
    nodes = [helper.make_node("Slice", ["images", "start", "stop", "axis"], ["red"])]
    nodes += [helper.make_node("ReduceMean", ["red"], ["redness"], axes=[1, 2, 3], keepdims=1)]  # (N, 1, 1, 1)
    nodes += [helper.make_node("Reshape", ["redness", "flat"], ["share"])]  # (N, 1, 1)
    select = np.zeros_like(scale)
    select[:, 4:] = 1.0 if scale_by_red else 0.0
    # output = table * (1 - select + select * share): boxes as they are, confidences scaled
    nodes += [helper.make_node("Mul", ["share", "select"], ["scaled"])]
    nodes += [helper.make_node("Add", ["scaled", "unselected"], ["factor"])]
    nodes += [helper.make_node("Mul", ["table", "factor"], ["output0"])]
    constants = {
        "start": np.array([0]), "stop": np.array([1]), "axis": np.array([1]), "flat": np.array([-1, 1, 1]),
        "table": table, "select": select, "unselected": 1 - select,
    }
    rows, count = table.shape[1:]
    graph = helper.make_graph(
        nodes, "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, *hw])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["batch", rows, count])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {"task": task, "names": names, "stride": "32"})
    onnx.save(model, str(path))
    return path


def write_convolution(path, activated=False, uneven=False):
    """A detector of one convolution: a box of 20 x 30 pixels in each cell of 32 x 32, as sure as the cell is bright.

    Args:
        path: where to write it.
        activated: let a SiLU follow the convolution.
        uneven: one pixel of a cell counts an eighth, so that 8 bits round the weights of all others to nothing; and the
            confidence is 0.3 higher.
    """
    kernel = np.zeros((5, 3, 32, 32), np.float32)
    kernel[4] = 1 / (3 * 32 * 32)
    if uneven:
        kernel[4] *= 7 / 8
        kernel[4, 0, 0, 0] = 1 / 8
    bias = np.array([16, 16, 20, 30, 0.3 if uneven else 0], np.float32)
    nodes = [
        helper.make_node("Conv", ["images", "kernel", "bias"], ["cells"], "/model.0/conv/Conv", strides=[32, 32]),
        helper.make_node("Reshape", ["active" if activated else "cells", "shape"], ["boxes"], "/model.1/Reshape"),
    ]
    if activated:
        nodes[1:1] = [
            helper.make_node("Sigmoid", ["cells"], ["share"], "/model.0/act/Sigmoid"),
            helper.make_node("Mul", ["cells", "share"], ["active"], "/model.0/act/Mul"),
        ]
    constants = {"kernel": kernel, "bias": bias, "shape": np.array([0, 5, -1])}
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, "height", "width"])],
        [helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["batch", 5, "count"])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {"task": "detect", "names": "{0: 'person'}"})
    onnx.save(model, str(path))
    return path


def write_embedder(path: Path, by_colour=False):
    """Write an appearance model of a few operations: of unit length, and from the mean colour of a crop.

    Args:
        path: where to write it.
        by_colour: people of different colours differ, and there is an evidence output: the brightness of 16 x 8 cells.
    """
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], axes=[1, 2], keepdims=0),  # (N, 3)
        helper.make_node("Add", ["mean", "one"], ["some"]),  # a black crop has a direction, too
        helper.make_node("MatMul", ["some", "weights"], ["wide"]),  # (N, 8)
        helper.make_node("LpNormalization", ["wide"], ["embedding"], axis=1, p=2),
        helper.make_node("Sigmoid", ["wide"], ["mask"]),
    ]
    outputs = {"embedding": ["batch", 8], "mask": ["batch", 8]}
    constants = {"one": np.ones(3, np.float32), "weights": np.ones((3, 8), np.float32)}
    if by_colour:
        constants["weights"] = np.eye(3, 8, dtype=np.float32)
        outputs["evidence"] = ["batch", 16, 8]
        nodes += [
            helper.make_node("Transpose", ["float"], ["channels"], perm=[0, 3, 1, 2]),
            helper.make_node("AveragePool", ["channels"], ["pooled"], kernel_shape=[16, 16], strides=[16, 16]),
            helper.make_node("ReduceMax", ["pooled"], ["bright"], axes=[1], keepdims=0),
            helper.make_node("Sigmoid", ["bright"], ["evidence"]),
        ]
    graph = helper.make_graph(
        nodes, "tiny",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 256, 128, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {"kind": KIND, "format_version": FORMAT_VERSION})
    onnx.save(model, str(path))
    return path
