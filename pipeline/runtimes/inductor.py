"""TorchInductor on the CPU: the compact checkpoint, compiled to C++ for each size of a batch, INT8 by oneDNN.

Compiling takes seconds to minutes and happens at the first batch. A later and smaller one is filled up to its size, so
that the last batch of a split costs no compilation. What is compiled lies in a temporary folder that is removed as
soon as it is loaded: nothing is left on disk, and no cache of torch is read or written.
"""

import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import CheckpointError, MeasurementError
from pipeline.protocols import Loaded, Predict
from pipeline.runtimes._torch import as_measured

if TYPE_CHECKING:
    from torch import Tensor, fx

READS: str = "checkpoint"
REQUIRES: tuple[str, ...] = ("torch",)

_options = {
    "freezing": True,
    "cpp_wrapper": True,  # Python between the kernels costs a tenth of a millisecond and more
    "compile_threads": 1,  # no worker processes beside what is being timed
}
"""Of ``torch._inductor.config``."""


def load(path: Path, *, threads: int) -> Loaded:
    """Open a compact checkpoint.

    Args:
        path: The file.
        threads: Threads of each operator.

    Raises:
        MeasurementError: The file cannot be opened, or there is no C++ compiler; also raised by a call with images
            that the network does not take, or that cannot be compiled.
    """
    import pipeline
    from pipeline.engine import onednn

    _check_compiler()
    try:
        network = cast("fx.GraphModule", pipeline.load(path))
    except CheckpointError as error:
        raise MeasurementError(f"TorchInductor {version()} cannot open {str(path)!r}: {error}") from None
    fused, precision = onednn.fuse(network)
    return Loaded(predict=compiling(fused, network, path, threads), precision=lambda: precision)


def compiling(graph: "fx.GraphModule", check: "Callable[[Tensor], Tensor]", path: Path, threads: int) -> Predict:
    """Answer with a graph that is compiled whenever a batch comes that is larger than all before.

    Args:
        graph: Takes raw images of one size; what it is made of, Inductor must know.
        check: Raises an error that says in words what is wrong with an image; asked before compiling.
        path: Of the file, for messages.
        threads: Threads of each operator.
    """
    import torch

    compiled: dict[int, Callable[[Tensor], Tensor]] = {}

    def predict(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        try:
            size = min((size for size in compiled if size >= len(images)), default=len(images))
            # Of one memory layout, too: what is compiled takes no other.
            batch = torch.from_numpy(np.resize(images, (size, *images.shape[1:])))
            with as_measured(threads):
                if size not in compiled:
                    check(batch[:1])
                    compiled[size] = _compiled(graph, batch)
                logits: NDArray[np.float32] = compiled[size](batch).numpy()[: len(images)]
        except Exception as error:  # compilers and kernels raise what they like
            raise MeasurementError(
                f"TorchInductor {version()} cannot execute {str(path)!r} on {images.dtype} images of shape "
                f"{images.shape}: {_reason(error)}."
            ) from None
        return logits

    return predict


def _compiled(graph: "fx.GraphModule", batch: "Tensor") -> "Callable[[Tensor], Tensor]":
    """Compile for batches like this one; weights become constants, and are packed as the processor likes them."""
    import torch
    from torch._inductor import config
    from torch._inductor.utils import fresh_cache

    own = torch.fx.GraphModule(graph, graph.graph)
    # The graph, its threads and the layout of a batch are fixed here: nothing is left to guard against.
    function: Callable[[Tensor], Tensor] = torch.compile(
        own, fullgraph=True, dynamic=False, options={"guard_filter_fn": torch.compiler.skip_all_guards_unsafe}
    )
    with config.patch(_options), fresh_cache():
        function(batch)
    return function


def _check_compiler() -> None:
    from torch._inductor import cpp_builder, exc

    try:
        cpp_builder.get_cpp_compiler()
    except exc.InvalidCxxCompiler:
        raise MeasurementError(
            "the runtime inductor compiles networks and found no C++ compiler; install g++ or clang, or name one in "
            "the environment variable CXX."
        ) from None


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def version() -> str:
    """Version of the installed torch."""
    return importlib.metadata.version("torch")
