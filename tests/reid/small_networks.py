"""Tiny third-party networks, written as files on the fly."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write_baseline(path, input_shape=("batch", 3, 256, 128), output="flat", gain=1.0):
    """Embeds a crop as the mean colours of its quarters.

    `output`: flat (N, 12), column (N, 12, 1, 1) as older networks have it, or map (N, 3, 2, 2), which is no embedding.
    """
    pool = [input_shape[2] // 2, input_shape[3] // 2]
    nodes = [
        helper.make_node("AveragePool", ["images"], ["pooled"], kernel_shape=pool, strides=pool),
        helper.make_node("Mul", ["pooled", "gain"], ["map"]),
        helper.make_node("Flatten", ["map"], ["flat"]),
        helper.make_node("Unsqueeze", ["flat", "last"], ["column"]),
    ]
    shapes = {"flat": [input_shape[0], 12], "map": [input_shape[0], 3, 2, 2], "column": [input_shape[0], 12, 1, 1]}
    graph = helper.make_graph(
        nodes,
        "baseline",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, list(input_shape))],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, shapes[output])],
        [
            numpy_helper.from_array(np.array(gain, np.float32), "gain"),
            numpy_helper.from_array(np.array([2, 3]), "last"),
        ],
    )
    return _saved(graph, path)


def write_openvino_baseline(path):
    """The same network as an OpenVINO file, with the fixed batch of 1 that such files often have."""
    import openvino

    onnx_path = write_baseline(path.with_suffix(".onnx"), input_shape=(1, 3, 256, 128))
    openvino.save_model(openvino.convert_model(onnx_path), path, compress_to_fp16=False)
    onnx_path.unlink()
    return path


def _saved(graph, path):
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    return path
