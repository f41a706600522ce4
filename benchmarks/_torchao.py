"""A runtime for one comparison: files of torchao's PT2E beside compact checkpoints, all compiled by TorchInductor."""

import tempfile
from pathlib import Path
from typing import Any

from pipeline.protocols import Loaded
from pipeline.runtimes import inductor

READS = "checkpoint"
REQUIRES = ("torch", "torchao")
version = inductor.version


def load(path: Path, *, threads: int) -> Loaded:
    """Open a compact checkpoint or what ``torch.export.save`` wrote of a converted network."""
    if path.suffix != ".pt2":
        return inductor.load(path, threads=threads)
    import torch
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer  # noqa: F401  adds passes to Inductor

    graph: Any = torch.export.load(path).module()
    products = [node for node in graph.graph.nodes if str(node.target).startswith(("aten.conv2d", "aten.linear"))]
    integer = sum(str(node.args[0].target).startswith("quantized_decomposed") for node in products)
    counts = {"int8": integer, "float32": len(products) - integer}
    precision = {name: count for name, count in counts.items() if count}
    return Loaded(predict=inductor.compiling(graph, graph, path, threads), precision=lambda: precision)


def declare(name: str) -> tempfile.TemporaryDirectory[str]:
    """Make a folder that declares this module as a runtime of that name; for ``PYTHONPATH``, beside this one's."""
    folder = tempfile.TemporaryDirectory(prefix="pqd-benchmark-")
    facts = Path(folder.name) / "pqd_benchmark-0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: pqd-benchmark\nVersion: 0\n")
    (facts / "entry_points.txt").write_text(f"[pqd_workbench.runtimes]\n{name} = {__name__}\n")
    return folder
