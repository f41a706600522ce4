"""Bytes of a checkpoint: as it lies on disk, and the same network written in other ways."""

from pathlib import Path

from pipeline.compact import file
from pipeline.report import CheckpointSize

counted = frozenset({"weight", "bias", "factor", "offset"})
"""Last part of the names of what was learnt; scales, zero points and the input's mean are not."""


def checkpoint_size(path: Path) -> CheckpointSize:
    """Weigh a compact checkpoint and count its parameters and those that are not zero.

    Raises:
        CheckpointError: the file is absent, damaged, or claims what its bytes do not hold.
    """
    tensors = file.sizes(path)
    size_bytes = path.stat().st_size
    learnt = [tensor for tensor in tensors if tensor.name.rpartition(".")[2] in counted]
    # Header and metadata: the same in every way of writing.
    around = size_bytes - sum(tensor.coded_bytes for tensor in tensors)
    parameters = sum(tensor.num_values for tensor in learnt)
    return CheckpointSize(
        size_bytes=size_bytes,
        num_parameters=parameters,
        num_nonzero=sum(tensor.num_nonzero for tensor in learnt),
        dense_bytes=around + sum(tensor.plain_bytes for tensor in tensors),
        float_bytes=4 * parameters,
        bound_bytes=around + sum(tensor.bound_bytes for tensor in tensors),
        tensors=tensors,
    )
