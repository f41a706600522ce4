"""``python -m pipeline doctor``: what this machine has for training and running, each fact with what would mend it.

It imports what it looks at, torch included, so it has a process of its own.
"""

import importlib.metadata
import importlib.util
import platform
import shutil
from collections.abc import Iterator

from pipeline import catalog, processor
from pipeline.errors import PipelineError
from pipeline.facts import Fact
from pipeline.measure import machine

packages = ("torch", "torchvision", "onnx", "onnxruntime", "numpy", "scikit-learn")


def facts() -> Iterator[Fact]:
    """Look at one thing after the other, the quick ones first."""
    found = machine.machine(())
    yield Fact(about="python", outcome="ok", text=f"{platform.python_version()} on {found.system}")
    yield _processor(found.cpu, found.cores, found.instruction_set)
    yield from _datasets()
    yield from _packages()
    yield from _runtimes()
    yield _compiler()
    yield from _accelerator()


def _processor(cpu: str, cores: int, instruction_set: str) -> Fact:
    text = f"{cpu}, {cores} cores, INT8 by {instruction_set}"
    if instruction_set in processor.SLOW:
        fix = "It has no instructions for INT8 products: expect files to be smaller rather than quicker here."
        if instruction_set in processor.SATURATING:
            fix += " Their sums overflow in ONNX Runtime: let quantize stages have reduce_range = true."
        return Fact(about="processor", outcome="warn", text=text, fix=fix)
    return Fact(about="processor", outcome="ok", text=text)


def _packages() -> Iterator[Fact]:
    for package in packages:
        try:
            yield Fact(about=package, outcome="ok", text=importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            yield Fact(about=package, outcome="bad", text="not installed", fix=f"Install it: pip install {package}")


def _runtimes() -> Iterator[Fact]:
    for name in catalog.names("runtimes"):
        missing = catalog.missing("runtimes", name)
        if missing:
            fix = f"Only to measure with it: pip install {' '.join(missing)}"
            yield Fact(about=f"runtime {name}", outcome="warn", text=f"needs {', '.join(missing)}", fix=fix)
        else:
            yield Fact(about=f"runtime {name}", outcome="ok", text="can be used")


def _datasets() -> Iterator[Fact]:
    for name in catalog.names("datasets"):
        try:
            absent = catalog.load("datasets", name)().absent()
        except TypeError:
            yield Fact(about=f"data {name}", outcome="ok", text="reads files of your own")
            continue
        except PipelineError as error:
            yield Fact(about=f"data {name}", outcome="warn", text=str(error), fix="See what it says; others work.")
            continue
        if absent:
            text, _, fix = absent.partition(": ")
            yield Fact(about=f"data {name}", outcome="warn", text=text, fix=f"{fix[:1].upper()}{fix[1:]}")
        else:
            yield Fact(about=f"data {name}", outcome="ok", text="present")


def _compiler() -> Fact:
    found = next((path for name in ("g++", "clang++", "c++") if (path := shutil.which(name))), None)
    if found is None:
        return Fact(
            about="compiler", outcome="warn", text="no C++ compiler",
            fix="The runtime inductor and compiled training need one: install g++.",
        )  # fmt: skip
    return Fact(about="compiler", outcome="ok", text=found)


def _accelerator() -> Iterator[Fact]:
    try:
        import torch
    except Exception as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        yield Fact(about="GPU", outcome="bad", text=f"torch cannot be imported: {reason}", fix="Install torch again.")
        return
    if not torch.cuda.is_available():
        yield Fact(
            about="GPU", outcome="warn", text="none that torch can use; training runs on the CPU",
            fix="Small networks and the digits train well without; for CIFAR expect hours.",
        )  # fmt: skip
        return
    free, total = torch.cuda.mem_get_info()
    name = torch.cuda.get_device_name()
    yield Fact(about="GPU", outcome="ok", text=f"{name}, {free / 2**30:.0f} of {total / 2**30:.0f} GiB free")
    if torch.version.cuda is not None and importlib.util.find_spec("pynvml") is None:
        yield Fact(
            about="GPU load", outcome="warn", text="Live cannot show it: the package that asks the driver is absent",
            fix="Install it: pip install 'pqd-workbench[gpu]'",
        )  # fmt: skip
