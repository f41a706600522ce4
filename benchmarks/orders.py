"""All six orders of prune, quantize and distill, by the recipe of the preset, on a scale that fits two cores.

uv run python benchmarks/orders.py --data cifar10-small.npz --checkpoint cifar10_resnet20.th

The preset `prune-quantize-distill` with another backbone and dataset and a tenth of its epochs (2, 4 and 4, which move
with the stage); each order with each seed. Top-1 is of the deployed file, over the whole test
split.
"""

import argparse
import os
import statistics
import sys
import tempfile
from itertools import permutations
from pathlib import Path
from typing import Any

import torch
from _harness import as_in_a_run, describe, last_line, show

from pipeline import presets, recipe, worker
from pipeline.recipe import Recipe
from pipeline.runs.state import Status
from pipeline.runs.store import RunStore

stages = {
    "P": {"stage": "prune", "epochs": 2},
    "Q": {"stage": "quantize", "epochs": 4},
    "D": {"stage": "distill", "temperature": 4.0, "alpha": 0.9, "epochs": 4},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="an npz file with x_train, y_train, x_test, y_test")
    parser.add_argument("--checkpoint", type=Path, required=True, help="trained weights of the backbone")
    parser.add_argument("--backbone", default="resnet20")
    parser.add_argument("--orders", nargs="+", default=["".join(order) for order in permutations("PQD")])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sparsity", type=float, default=0.5)
    parser.add_argument("--learning-rate", type=float, default=0.005, help="of prune and distill")
    parser.add_argument("--store", type=Path, help="keep the runs here; a temporary folder without it")
    options = parser.parse_args()
    as_in_a_run()
    with tempfile.TemporaryDirectory() as temporary:
        store = RunStore(options.store or Path(temporary))
        results = [result(store, options, order, seed) for seed in options.seeds for order in options.orders]
    baseline = results[0]["baseline"]
    rows, summary = [], []
    for order in options.orders:
        found = [one["top1"] for one in results if one["order"] == order]
        mean, deviation = statistics.mean(found), statistics.stdev(found) if len(found) > 1 else 0.0
        each = " ".join(f"{top1:.2f}" for top1 in found)
        rows.append([order, f"{mean:.2f} ± {deviation:.2f}", f"{mean - baseline:+.2f}", each])
        summary.append({"order": order, "mean": round(mean, 3), "sd": round(deviation, 3), "top1": found})
    title = f"{options.backbone}, {options.sparsity:.0%} zeros, baseline {baseline:.2f} %, seeds {options.seeds}"
    conditions = describe((), threads=torch.get_num_threads())
    show(title, ["order", "top-1 %, mean ± sd", "points", "each"], rows, [conditions])
    last_line({"baseline": baseline, "sparsity": options.sparsity, "orders": summary})


def result(store: RunStore, options: argparse.Namespace, order: str, seed: int) -> dict[str, Any]:
    """Do one run and read what was deployed."""
    run, lock = store.create(make_recipe(options, order, seed))
    try:
        worker.work(run.folder, lock)
    finally:
        os.close(lock)
    state = run.state()
    if state.status is not Status.FINISHED or state.deployed.accuracy is None or state.baseline.accuracy is None:
        sys.exit(f"{order}, seed {seed}: {state.failure}")
    return {"order": order, "top1": state.deployed.accuracy.top1, "baseline": state.baseline.accuracy.top1}


def make_recipe(options: argparse.Namespace, order: str, seed: int) -> Recipe:
    """Scale the preset down."""
    preset = recipe.load(presets.find("prune-quantize-distill")).document()
    normalisation = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    rate = {"learning_rate": options.learning_rate}
    changed = {"P": rate | {"sparsity": options.sparsity}, "D": rate}
    changes = {
        "name": f"{order} {options.sparsity:g} seed {seed}",
        "backbone": options.backbone,
        "dataset": {"name": "npz", "path": str(options.data), "augmentation": "shift-flip"} | normalisation,
        "seed": seed,
        "baseline": {"checkpoint": str(options.checkpoint)},
        "stages": [stages[letter] | changed.get(letter, {}) for letter in order],
    }
    return recipe.parse(preset | changes, folder=Path.cwd())


if __name__ == "__main__":
    main()
