"""Writing a lowered network as an ONNX file.

The file holds QuantizeLinear and DequantizeLinear around float operators (QDQ), which every runtime fuses into its
own INT8 kernels. Weight codes lie in it once, as int8.
"""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import onnx
import torch
from onnxscript import opset18 as op
from torch.export import ExportedProgram

from pipeline import files
from pipeline.engine import integer
from pipeline.errors import ExportError

OPSET = 18
"""ONNX operator set: the oldest that the exporter writes natively, so that most runtimes read the file."""


def write(exported: ExportedProgram, path: Path, *, metadata: Mapping[str, str]) -> None:
    """Write a lowered network as ONNX: input `images`, output `logits`, batches of any size.

    The file appears complete or not at all: it is written beside its place, flushed to disk and renamed.

    Args:
        exported: What `program.export` returned.
        path: Of the file; its folder exists. An older file is replaced.
        metadata: Stored in the file as its properties.

    Raises:
        ExportError: the network holds an operation that ONNX cannot express, or the file cannot be written.
    """
    model = _translate(exported)
    onnx.helper.set_model_props(model, dict(metadata))
    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.checker.ValidationError as error:
        raise ExportError(f"the ONNX model is not valid: {error}.") from error
    try:
        files.write_bytes(path, model.SerializeToString())
    except OSError as error:
        raise ExportError(f"the file {str(path)!r} cannot be written: {error.strerror}.") from error


def _translate(exported: ExportedProgram) -> onnx.ModelProto:
    with _quiet():
        try:
            program = torch.onnx.export(
                exported,
                input_names=["images"],
                output_names=["logits"],
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
                custom_translation_table={
                    integer.QUANTIZE: _quantize_linear,
                    integer.DEQUANTIZE: _dequantize_linear,
                    integer.GLOBAL_AVERAGE: _global_average_pool,
                },
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise ExportError(f"the network cannot be written as ONNX: {error}.") from error
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    # The exporter notes a Python stack trace at every node: nine tenths of a small network's file.
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    for tensor in model.graph.initializer:
        del tensor.metadata_props[:]
    del model.graph.value_info[:]
    del model.graph.metadata_props[:]
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's warnings and its log (about packages that it does without) from the terminal."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _quantize_linear(x: Any, scale: Any, zero_point: Any) -> Any:
    return op.QuantizeLinear(x, scale, zero_point)


def _dequantize_linear(codes: Any, scale: Any, zero_point: Any = None) -> Any:
    return op.DequantizeLinear(codes, scale, zero_point, axis=0)


def _global_average_pool(x: Any) -> Any:
    return op.GlobalAveragePool(x)
