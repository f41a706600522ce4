"""Bytes of deployed networks: the compact checkpoint beside general compressors, other coders and the entropy bound.

uv run --group benchmarks python benchmarks/checkpoint_size.py --weights resnet18=weights.safetensors --store STORE

Trained networks are pruned by global magnitude, put on the int8 grid of each channel and lowered: what a deployment
would hold. Finished runs of a store come as they were deployed. Every coder gets the same tensors: compressors a plain
safetensors file of them; `ANS` one stream a tensor with its table of frequencies, and NNCodec (DeepCABAC) the integers,
none of which it changes; for all else these two are charged what the compact file takes. Without --store and --weights:
the network of the preset quickstart, trained on the digits.
"""

import argparse
import copy
import importlib.util
import lzma
import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import brotli
import constriction
import numpy as np
import torch
import zstandard
from _harness import describe, last_line, show
from safetensors.numpy import save, save_file

from pipeline import catalog, presets, recipe, worker
from pipeline.compact import file
from pipeline.engine import checkpoint, lowering, placement, sparsity
from pipeline.runs.state import Status
from pipeline.runs.store import RunStore

Tensors = dict[str, np.ndarray]
SPARSITIES = (0.0, 0.5, 0.8, 0.9, 0.95)

NNCODEC = """
import contextlib, sys
from safetensors.numpy import load_file
from nncodec import nnc
tensors = {name: values.astype("int32") for name, values in load_file(sys.argv[1]).items()}
with contextlib.redirect_stdout(sys.stderr):
    stream = nnc.compress(tensors, bitstream_path=sys.argv[2], row_skipping=True, return_bitstream=True)
    found = nnc.decompress(stream)
assert all((found[name] == values).all() for name, values in tensors.items()), "NNCodec changed a tensor"
print(len(stream))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, help="weigh its finished runs, too")
    parser.add_argument("--weights", nargs="*", default=[], help="BACKBONE=FILE: weights trained on ten classes")
    parser.add_argument("--nncodec", default=sys.executable, help="a Python that can import nncodec")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row(options.nncodec, *subject) for subject in subjects(options)]
    columns = ["backbone", "zeros", "bits", "bound", "compact", "ANS", "zlib", "xz", "zstd", "brotli", "NNCodec"]
    keys = ("bound_bytes", "coded_bytes", "ans_bytes", "zlib_bytes", "xz_bytes", "zstd_bytes", "brotli_bytes")
    cells = [
        [found["backbone"], f"{found['sparsity']:.1%}", str(found["weight_bits"]), kilo(found["bound_bytes"])]
        + [f"{kilo(found[key])} {ratio(found[key], found)}" for key in (*keys[1:], "nncodec_bytes")]
        for found in rows
    ]
    times = time_resnet18()
    notes = [
        "kB of the whole file, and in how many times the bound of a coder that looks at one weight at a time.",
        "ResNet-18, 80 % zeros, one core: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in times.items()),
        describe(("constriction", "numpy", "zstandard", "brotli"), threads=1),
    ]
    show("Bytes of deployed networks", columns, cells, notes)
    last_line({"rows": rows} | {f"resnet18_{name}_s": seconds for name, seconds in times.items()})


def subjects(options: argparse.Namespace) -> Iterator[tuple[str, int, Tensors]]:
    """Yield name, bits of the weights and lowered tensors."""
    given = dict(weights.split("=", 1) for weights in options.weights)
    for backbone, weights in given.items():
        model = catalog.load("backbones", backbone).build(num_classes=10, in_channels=3)
        checkpoint.load_weights(model, Path(weights))
        yield from lowered(backbone, model)
    if options.store is not None:
        yield from finished(RunStore(options.store))
    elif not options.weights:
        with tempfile.TemporaryDirectory() as temporary:
            yield from finished(quickstart(Path(temporary)))


def lowered(
    backbone: str, model: torch.nn.Module, shares: tuple[float, ...] = SPARSITIES
) -> Iterator[tuple[str, int, Tensors]]:
    """Prune a trained network and put it on a grid, once for each sparsity and width."""
    for share in shares:
        for bits in (8, 5):
            pruned = copy.deepcopy(model)
            if share:
                sparsity.raise_sparsity(pruned, share)
            prepared = placement.prepare(pruned, placement.Scheme(weight_bits=bits)).train()
            with torch.no_grad():
                prepared(torch.randn(2, 3, 32, 32))
            network = lowering.lower(prepared, mean=[0.5] * 3, std=[0.25] * 3)
            yield backbone, bits, {name: tensor.numpy() for name, tensor in network.state_dict().items()}


def finished(store: RunStore) -> Iterator[tuple[str, int, Tensors]]:
    """Yield what the finished runs of a store deployed."""
    for run in store.runs():
        path = run.folder / "artifacts" / "deployed" / "model.pqd.safetensors"
        if run.state().status is Status.FINISHED and path.exists():
            chosen = run.recipe()
            bits = [stage.weight_bits for stage in chosen.stages if hasattr(stage, "weight_bits")]
            yield f"{chosen.backbone}, run", (bits or [32])[-1], file.read(path)[0]


def quickstart(folder: Path) -> RunStore:
    """Train the preset quickstart, which takes a minute; nothing is timed."""
    store = RunStore(folder)
    document = recipe.load(presets.find("quickstart")).document()
    run, lock = store.create(recipe.parse(document | {"measure": {"latency": "off"}}, folder=Path.cwd()))
    try:
        worker.work(run.folder, lock)
    finally:
        os.close(lock)
    return store


def row(nncodec: str, backbone: str, bits: int, tensors: Tensors) -> dict[str, Any]:
    """Weigh one network in every way."""
    plain = save(tensors)
    weights = [tensor for tensor in tensors.values() if tensor.ndim > 1]
    zeros = 1 - sum(map(np.count_nonzero, weights)) / sum(tensor.size for tensor in weights)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "model.pqd.safetensors"
        file.write(path, tensors, {})
        total, sizes = path.stat().st_size, file.sizes(path)
        codes = {name: tensor for name, tensor in tensors.items() if tensor.dtype == np.int8}
        around = total - sum(size.coded_bytes for size in sizes if size.name in codes)
        found = nncodec_bytes(nncodec, codes, Path(temporary))
    return {
        "backbone": backbone,
        "sparsity": round(zeros, 4),
        "weight_bits": bits,
        "plain_bytes": len(plain),
        "coded_bytes": total,
        "bound_bytes": round(total + sum(size.bound_bytes - size.coded_bytes for size in sizes)),
        "zlib_bytes": len(zlib.compress(plain, 9)),
        "xz_bytes": len(lzma.compress(plain, preset=9 | lzma.PRESET_EXTREME)),
        "zstd_bytes": len(zstandard.compress(plain, 19)),
        "brotli_bytes": len(brotli.compress(plain, quality=11)),
        "ans_bytes": around + sum(map(ans_bytes, codes.values())),
        "nncodec_bytes": found and around + found,
    }


def ans_bytes(codes: np.ndarray) -> int:
    """Weigh a tensor coded with its own frequencies, which stand before it: three bytes each, from first to last."""
    symbols = codes.reshape(-1).astype(np.int32)
    symbols -= symbols.min()
    counts = np.bincount(symbols).astype(np.float64)
    if len(counts) < 2:
        return 3
    coder = constriction.stream.stack.AnsCoder()
    coder.encode_reverse(symbols, constriction.stream.model.Categorical(counts, perfect=False))
    return 4 * len(coder.get_compressed()) + 3 * len(counts)


def nncodec_bytes(python: str, codes: Tensors, folder: Path) -> int | None:
    """Weigh the integers in NNCodec's stream; None where it is not installed."""
    if not codes or (python == sys.executable and importlib.util.find_spec("nncodec") is None):
        return None
    save_file(codes, folder / "codes.safetensors")
    done = subprocess.run(
        [python, "-c", NNCODEC, folder / "codes.safetensors", folder / "codes.nnc"], capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"NNCodec failed: {done.stderr[-500:]}")
    return int(done.stdout)


def time_resnet18() -> dict[str, float]:
    """Time encoding and decoding of a ResNet-18's number of weights, drawn and pruned: what they are hardly matters."""
    model = catalog.load("backbones", "resnet18").build(num_classes=10, in_channels=3)
    _, _, tensors = next(lowered("resnet18", model, (0.8,)))
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "model.pqd.safetensors"
        return {"encode": best(lambda: file.write(path, tensors, {})), "decode": best(lambda: file.read(path))}


def best(act: Callable[[], object]) -> float:
    """Give the processor time of the fastest of three calls, seconds."""
    seconds = []
    for _ in range(3):
        start = time.process_time()
        act()
        seconds.append(time.process_time() - start)
    return round(min(seconds), 3)


def kilo(size: int | None) -> str:
    return "" if size is None else f"{size / 1e3:,.1f}"


def ratio(size: int | None, found: dict[str, Any]) -> str:
    return "" if size is None else f"({size / found['bound_bytes']:.3f})"


if __name__ == "__main__":
    main()
