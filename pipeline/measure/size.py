"""Bytes of a checkpoint as it lies on disk, and what it holds."""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from pipeline.errors import MeasurementError
from pipeline.report import CheckpointSize

counted = frozenset({"weight", "bias", "factor", "offset"})
"""Last part of the names of what was learnt; scales, zero points and the input's mean are not."""


def checkpoint_size(path: Path) -> CheckpointSize:
    """Measure a safetensors file and count its parameters and those that are not zero.

    Raises:
        MeasurementError: the file is absent, cut short or no safetensors file.
    """
    parameters = nonzero = 0
    try:
        size_bytes = path.stat().st_size
        with safe_open(path, framework="np") as opened:
            for name in opened.keys():  # noqa: SIM118
                if name.rpartition(".")[2] in counted:
                    tensor = opened.get_tensor(name)
                    parameters += tensor.size
                    nonzero += int(np.count_nonzero(tensor))
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MeasurementError(f"the size of {str(path)!r} cannot be measured: {reason}.") from None
    return CheckpointSize(size_bytes=size_bytes, num_parameters=parameters, num_nonzero=nonzero)
