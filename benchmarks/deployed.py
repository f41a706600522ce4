"""One trained network, made INT8 by this pipeline and by its peers: top-1, bytes and latency of the files.

uv run --group benchmarks python benchmarks/deployed.py --backbone tiny
uv run --group benchmarks python benchmarks/deployed.py --backbone resnet20 --data cifar10.npz --weights resnet20.th

Peers: static quantisation of ONNX Runtime (QDQ, per channel), NNCF to OpenVINO, torchao's PT2E to TorchInductor. All
are calibrated on the same training images. `PTQ` of this pipeline is the stage quantize without training, the same
effort as theirs; `QAT`, and distill after it, is what the pipeline is for. Every file takes raw uint8 images and
normalises them itself, so all have one signature and the same work. The files of a runtime are timed in turns, in one
fresh process; its FP32 is the network as `torch.onnx.export` writes it or, in TorchInductor and eager torch, the
baseline's checkpoint.
"""

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import _torchao
import numpy as np
import torch
from _harness import as_in_a_run, console, describe, last_line, quiet, show
from torch import nn

from pipeline import catalog, recipe, worker
from pipeline.engine import checkpoint, throughput, training
from pipeline.engine.integer import Normalization
from pipeline.measure import accuracy, latency
from pipeline.measure.machine import machine, usable_cores
from pipeline.protocols import Splits
from pipeline.report import Accuracy, Latency, LayerWork
from pipeline.runs.state import Status
from pipeline.runs.store import Run, RunStore

ours_ptq, ours_qat, ours_taught = "pqd-workbench PTQ", "pqd-workbench QAT", "pqd-workbench QAT, distill"
ours, fp32 = (ours_ptq, ours_qat, ours_taught), "fp32"
Files = dict[str, dict[str, Path]]
"""By runtime and by what made the file."""
runtimes = {"onnxruntime": "onnxruntime", "openvino": "openvino", "inductor": "inductor_and_torchao", "torch": "torch"}
"""Name in the catalogue of what executes the files."""


@dataclass(frozen=True)
class Peer:
    """What peers get: the trained FP32 network, and where to write."""

    network: nn.Module
    """Raw images in, logits out."""
    onnx: Path
    """The same as ONNX."""
    images: np.ndarray
    """To calibrate on, uint8."""
    folder: Path


def main() -> None:
    options = arguments()
    as_in_a_run()
    torch.set_num_threads(len(usable_cores()))
    training.calibration_samples = options.calibration
    with tempfile.TemporaryDirectory() as temporary, declared():
        folder = Path(temporary)
        store = RunStore(options.store or folder / "store")
        baseline, files, splits = of_the_pipeline(options, store, folder)
        network = trained_network(options, baseline, splits)
        add_peers(files, network, splits, options, folder)
        layers = throughput.layers(network[1], torch.from_numpy(splits.x_test))
        rows = [row for runtime in files for row in rows_of(runtime, files[runtime], splits, layers, options)]
    table(rows, options, splits)
    last_line({"backbone": options.backbone, "calibration": options.calibration, "rows": rows})


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--data", type=Path, help="an npz file of colour photographs; the digits without it")
    parser.add_argument("--weights", type=Path, help="trained weights of the backbone; trained here without it")
    parser.add_argument("--epochs", type=int, default=10, help="of the baseline, if it is trained")
    parser.add_argument(
        "--quantize-epochs", type=int, default=4, help="of QAT, and of distill after it; 0 leaves both out"
    )
    parser.add_argument("--calibration", type=int, default=512, help="training images")
    parser.add_argument("--runtimes", nargs="+", choices=runtimes, default=list(runtimes))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--mode", choices=latency.efforts, default="quick", help="how long files are timed")
    parser.add_argument("--latency-only", action="store_true", help="random weights and images, no top-1, no QAT")
    parser.add_argument("--store", type=Path, help="keep the runs here, and what was trained; nothing without it")
    return parser.parse_args()


@contextlib.contextmanager
def declared() -> Iterator[None]:
    """Let this process and the one that measures find the runtime of torchao."""
    with _torchao.declare(runtimes["inductor"]) as folder:
        paths = [folder, str(Path(__file__).parent)]
        os.environ["PYTHONPATH"] = os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")])
        sys.path.insert(0, folder)
        yield


def of_the_pipeline(options: argparse.Namespace, store: RunStore, folder: Path) -> tuple[Run, Files, Splits]:
    """Run the recipes; returns a run, for its baseline, and the files."""
    if options.latency_only:
        options.data, options.epochs, options.quantize_epochs = random_images(folder / "random.npz"), 0, 0
    epochs = options.quantize_epochs
    quantize = {"stage": "quantize", "epochs": epochs}
    efforts: dict[str, list[dict[str, Any]]] = {ours_ptq: [quantize | {"epochs": 0}]}
    if epochs:
        # The step size of quantize: the network stands where it should already.
        taught = {"stage": "distill", "epochs": epochs, "learning_rate": 0.001}
        efforts |= {ours_qat: [quantize], ours_taught: [quantize, taught]}
    done = {name: run_of(store, options, name, stages) for name, stages in efforts.items()}
    baseline = done[ours_ptq]
    files: Files = {}
    for runtime in options.runtimes:
        kind = catalog.load("runtimes", runtime).READS
        kept = {} if runtime == "torch" else {name: artifact(run, "deployed", kind) for name, run in done.items()}
        files[runtime] = {fp32: artifact(baseline, "baseline", kind)} | kept
    return baseline, files, baseline.recipe().dataset.load()


def run_of(store: RunStore, options: argparse.Namespace, name: str, stages: list[dict[str, Any]]) -> Run:
    """Do one run."""
    if options.data:
        photographs = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "augmentation": "shift-flip"}
        data: dict[str, Any] = {"name": "npz", "path": str(options.data.resolve())} | photographs
    else:
        data = {"name": "digits"}
    trained = {"checkpoint": str(options.weights.resolve())} if options.weights else {"epochs": options.epochs}
    document = {
        "name": f"{options.backbone} {name}",
        "backbone": options.backbone,
        "dataset": data,
        "baseline": trained,
        "stages": stages,
        "measure": {"latency": "off"},
    }
    run, lock = store.create(recipe.parse(document, folder=Path.cwd()))
    try:
        worker.work(run.folder, lock)
    finally:
        os.close(lock)
    if run.state().status is not Status.FINISHED:
        sys.exit(f"{name}: {run.state().failure}")
    return run


def artifact(run: Run, subject: str, kind: str) -> Path:
    from pipeline.results import artifact_names

    return run.folder / "artifacts" / subject / artifact_names[kind]


def random_images(path: Path) -> Path:
    """Write images that mean nothing, to time networks of random weights."""
    random = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for split, count in (("train", 640), ("test", 64)):
        arrays[f"x_{split}"] = random.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        arrays[f"y_{split}"] = np.arange(count) % 10
    np.savez(path, **arrays)
    return path


def trained_network(options: argparse.Namespace, baseline: Run, splits: Splits) -> nn.Module:
    """Give the baseline as an ordinary network, with the normalisation of the images in front."""
    build = import_module(f"pipeline.backbones.{options.backbone}").build
    network = build(num_classes=len(splits.classes), in_channels=splits.x_test.shape[1])
    checkpoint.load_weights(network, artifact(baseline, "baseline", "weights"))
    return nn.Sequential(Normalization(splits.mean, splits.std), network).eval()


def any_batch(images: np.ndarray) -> dict[str, Any]:
    """Give an example of a batch, and say that others may be of any size."""
    return {"args": (torch.from_numpy(images[:2]),), "dynamic_shapes": ({0: torch.export.Dim("batch")},)}


def add_peers(files: Files, network: nn.Module, splits: Splits, options: argparse.Namespace, folder: Path) -> None:
    peer = Peer(network, folder / "fp32.onnx", splits.x_train[: options.calibration], folder)
    with quiet():
        names = {"input_names": ["images"], "output_names": ["logits"]}
        program = torch.onnx.export(network, **any_batch(peer.images), **names, opset_version=18, dynamo=True)
        assert program is not None
        program.save(peer.onnx)
    for runtime, make in {"onnxruntime": of_onnxruntime, "openvino": of_nncf, "inductor": of_torchao}.items():
        if runtime not in files:
            continue
        if runtime != "inductor":
            files[runtime][fp32] = peer.onnx
        try:
            with quiet():
                files[runtime] |= make(peer)
        except ImportError as error:
            console.print(f"a peer in {runtime} is left out: {error}.")


def of_onnxruntime(peer: Peer) -> dict[str, Path]:
    from onnxruntime import quantization as q

    class Calibration(q.CalibrationDataReader):
        def __init__(self) -> None:
            self._batches = iter(np.array_split(peer.images, max(1, len(peer.images) // 32)))

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self._batches, None)
            return None if batch is None else {"images": batch}

    prepared, path = peer.folder / "prepared.onnx", peer.folder / "onnxruntime.onnx"
    q.shape_inference.quant_pre_process(str(peer.onnx), str(prepared))
    q.quantize_static(
        str(prepared),
        str(path),
        Calibration(),
        quant_format=q.QuantFormat.QDQ,
        per_channel=True,
        activation_type=q.QuantType.QUInt8,
        weight_type=q.QuantType.QInt8,
    )
    return {"ONNX Runtime PTQ": path}


def of_nncf(peer: Peer) -> dict[str, Path]:
    import nncf
    import openvino

    images = nncf.Dataset([peer.images[index : index + 1] for index in range(len(peer.images))])
    found = {}
    for name, fast in {"NNCF PTQ": True, "NNCF PTQ, accurate bias": False}.items():
        model = openvino.Core().read_model(peer.onnx)
        quantised = nncf.quantize(model, images, subset_size=len(peer.images), fast_bias_correction=fast)
        found[name] = peer.folder / f"nncf-{fast}.xml"
        openvino.save_model(quantised, found[name], compress_to_fp16=False)
    return found


def of_torchao(peer: Peer) -> dict[str, Path]:
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    quantizer = x86.X86InductorQuantizer().set_global(x86.get_default_x86_inductor_quantization_config())
    example = any_batch(peer.images)
    with torch.no_grad():
        prepared = prepare_pt2e(torch.export.export(peer.network, **example).module(), quantizer)
        for batch in torch.from_numpy(peer.images).split(32):
            prepared(batch)
        converted = torch.export.export(convert_pt2e(prepared), **example)
    torch.export.save(converted, peer.folder / "torchao.pt2")
    return {"torchao PT2E PTQ": peer.folder / "torchao.pt2"}


def rows_of(
    runtime: str, files: dict[str, Path], splits: Splits, layers: tuple[LayerWork, ...], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Measure all files of a runtime."""
    found = {} if options.latency_only else accuracies(runtime, files, splits)
    times = latency.measure(
        {name: latency.Subject(path=path, layers=layers) for name, path in files.items()},
        runtime=runtimes[runtime],
        images=splits.x_test,
        threads=options.threads,
        mode=options.mode,
        say=console.print,
    )
    peers = [time.median_ms for name, time in times.items() if name not in (fp32, *ours)]
    fastest = min(peers, default=None)
    return [
        row(options.backbone, runtime, name, path, times[name], fastest, found.get(name))
        for name, path in files.items()
    ]


def accuracies(runtime: str, files: dict[str, Path], splits: Splits) -> dict[str, Accuracy]:
    """Answer the test split with each file and compare with FP32 in the same runtime."""
    plugin = catalog.load("runtimes", runtimes[runtime])
    where = machine((runtime, *plugin.REQUIRES))
    answers = {
        name: accuracy.classify(plugin.load(path, threads=len(usable_cores())).predict, splits.x_test)
        for name, path in files.items()
    }
    base = answers.pop(fp32)
    return {fp32: accuracy.accuracy(base, splits.y_test, runtime=runtime, machine=where)} | {
        name: accuracy.accuracy(given, splits.y_test, runtime=runtime, machine=where, baseline=base)
        for name, given in answers.items()
    }


def row(
    backbone: str, runtime: str, name: str, path: Path, time: Latency, fastest: float | None, right: Accuracy | None
) -> dict[str, Any]:
    mine = name in ours
    numbers: dict[str, Any] = {
        "backbone": backbone,
        "runtime": runtime,
        "subject": name,
        "median_ms": round(time.median_ms, 4),
        "min_ms": round(time.min_ms, 4),
        "contended": time.contended,
        "ratio_to_fastest_peer": round(time.median_ms / fastest, 3) if mine and fastest else None,
        "ratio_to_roof": None if time.of_roof is None else round(time.of_roof, 3),
        "roof_of": time.roof_of,
        "precision": time.precision,
        "size_bytes": sum(part.stat().st_size for part in {path, weights_beside(path)}),
    }
    if right is not None:
        paired = right.versus_baseline
        numbers |= {"top1": round(right.top1, 3), "top1_interval": [round(end, 2) for end in right.interval]}
        numbers |= {"top1_points": round(paired.points, 3), "top1_margin": round(paired.margin, 3)} if paired else {}
    return numbers


def weights_beside(path: Path) -> Path:
    """Give the file that belongs to this one: OpenVINO keeps graph and weights apart."""
    return path.with_suffix(".bin") if path.suffix == ".xml" else path


def table(rows: list[dict[str, Any]], options: argparse.Namespace, splits: Splits) -> None:
    shown = []
    for each in rows:
        top1 = (
            f"{each['top1']:.2f} ({each['top1_interval'][0]} to {each['top1_interval'][1]})" if "top1" in each else ""
        )
        points = f"{each['top1_points']:+.2f} ± {each['top1_margin']:.2f}" if "top1_points" in each else ""
        ratios = (each[name] for name in ("ratio_to_fastest_peer", "ratio_to_roof"))
        of_peer, of_roof = ("" if ratio is None else f"{ratio:.3f}" for ratio in ratios)
        median = f"{each['median_ms']:.3f}{' contended' if each['contended'] else ''}"
        size = f"{each['size_bytes']:,}"
        shown.append([f"{each['runtime']}: {each['subject']}", top1, points, size, median, of_peer, of_roof])
    columns = ["file", "top-1 %, 95 %", "to fp32", "bytes", "ms, median", "of best peer", "of roof"]
    size = "x".join(str(side) for side in splits.x_test.shape[1:])
    title = f"{options.backbone}, {size}, batch 1, {len(splits.y_test)} test images, {options.calibration} to calibrate"
    conditions = describe(("onnxruntime", "openvino", "nncf", "torchao"), threads=options.threads)
    show(title, columns, shown, [conditions])


if __name__ == "__main__":
    main()
