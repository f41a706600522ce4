"""Small ONNX files to execute: raw images in, logits out, without a framework that trains."""

from pathlib import Path

import numpy as np

CLASSES = 3


def write(path: Path, *, width: int = 1, operator: str = "Cast") -> Path:
    """Write a network whose logit ``k`` is the mean of channel ``k``; a larger ``width`` makes it slower."""
    from onnx import TensorProto, checker, helper, numpy_helper, save

    wide = np.zeros((width * CLASSES, CLASSES, 3, 3), np.float32)
    wide[np.arange(CLASSES), np.arange(CLASSES), 1, 1] = 1
    nodes = [
        helper.make_node(operator, ["images"], ["x"], **({"to": TensorProto.FLOAT} if operator == "Cast" else {})),
        helper.make_node("Conv", ["x", "wide"], ["h"], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["h"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "head"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", CLASSES, "H", "W"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])],
        [
            numpy_helper.from_array(wide, "wide"),
            numpy_helper.from_array(np.eye(width * CLASSES, CLASSES, dtype=np.float32), "head"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if operator == "Cast":
        checker.check_model(model)
    save(model, path)
    return path
