"""Files of weights: safetensors in and out, and trained FP32 weights of a person's own into a backbone.

Nothing here ever unpickles code: `.pt`, `.pth` and `.th` files are opened with `weights_only=True` and a file that
needs more is refused.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor, nn

from pipeline import files
from pipeline.errors import CheckpointError

PICKLED = (".pt", ".pth", ".th")
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "ema")
"""Keys under which training scripts store the weights."""
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "backbone.")
"""What wrappers put in front of every name."""
COUNTER = "num_batches_tracked"
"""Counts training steps for a kind of batch normalisation that is not used; old files lack it."""


def save(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """Write tensors as one safetensors file: whole, or not at all.

    Args:
        tensors: By name; two names may share one storage, each is then written out.
        path: In a folder that exists.
        metadata: Texts that stand in the file's header.

    Raises:
        CheckpointError: The file cannot be written.
    """
    seen: set[int] = set()
    plain = {}
    for name, tensor in tensors.items():
        copied = tensor.detach().cpu().contiguous()
        storage = copied.untyped_storage().data_ptr()
        plain[name] = copied.clone() if storage in seen else copied
        seen.add(storage)
    try:
        files.write_bytes(path, _in_order(serialize(plain, dict(metadata))))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"the checkpoint {str(path)!r} cannot be written: {_reason(error)}.") from None


def _in_order(content: bytes) -> bytes:
    """Sort the metadata of a safetensors file: the library's own order is another each time."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[end:]


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file; returns its tensors by name, on the CPU, and its metadata.

    Raises:
        CheckpointError: The file is absent, cut short or no safetensors file.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {str(path)!r}.")
    try:
        with safe_open(path, framework="pt") as opened:
            # A copy each: what is mapped would change under the reader's feet when the file is overwritten.
            tensors = {name: opened.get_tensor(name).clone() for name in opened.keys()}  # noqa: SIM118
            return tensors, dict(opened.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"the checkpoint {str(path)!r} is cut short or no safetensors file ({_reason(error)})."
        ) from None


def load_weights(model: nn.Module, path: Path) -> None:
    """Put trained FP32 weights into a network; all of them fit, or none is changed.

    The weights may lie below a key such as `state_dict`, and every name may carry a prefix such as `module.`.

    Args:
        model: Fresh from its backbone.
        path: `.safetensors`, or `.pt`, `.pth`, `.th` as written by `torch.save`.

    Raises:
        CheckpointError: The file cannot be read, holds no weights, or they do not fit the network.
    """
    if path.suffix == ".safetensors":
        found: Mapping[str, Any] = read(path)[0]
    elif path.suffix in PICKLED:
        found = _unpickled(path)
    else:
        raise CheckpointError(
            f"the checkpoint {str(path)!r} ends in {path.suffix or 'nothing'!r}; "
            f"known are .safetensors, {', '.join(PICKLED)}."
        )
    expected = model.state_dict()
    tensors = _fitting_names({name: value for name, value in found.items() if isinstance(value, Tensor)}, expected)
    for name, value in expected.items():
        if name.endswith(COUNTER):
            tensors.setdefault(name, value)
    complaints = _complaints(tensors, expected)
    if complaints:
        raise CheckpointError(
            f"the checkpoint {str(path)!r} does not fit the network: {'; '.join(complaints)}. "
            "Check the backbone, the number of classes and the channels of the images."
        )
    broken = [name for name in expected if not torch.isfinite(tensors[name]).all()]
    if broken:
        raise CheckpointError(f"the checkpoint {str(path)!r} holds infinities or NaN in {broken[0]!r}.")
    model.load_state_dict(tensors)


def _unpickled(path: Path) -> Mapping[str, Any]:
    """Open what `torch.save` wrote and take the weights out of what they are wrapped in."""
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {str(path)!r}.")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can make the reader fail in any way
        if "unsupported global" in str(error).lower() or "TorchScript" in str(error):
            raise CheckpointError(
                f"the checkpoint {str(path)!r} holds Python objects or code besides tensors, which are not run; "
                "save the network's state_dict() alone, with torch.save or as safetensors."
            ) from None
        raise CheckpointError(f"the checkpoint {str(path)!r} is damaged or not written by torch.save.") from None
    for _ in WRAPPERS:
        wrapper = next((key for key in WRAPPERS if isinstance(found, Mapping) and _holds_tensors(found.get(key))), "")
        if not wrapper:
            break
        found = found[wrapper]
    if not _holds_tensors(found):
        keys = ", ".join(str(key) for key in list(found)[:5]) if isinstance(found, Mapping) else type(found).__name__
        raise CheckpointError(
            f"the checkpoint {str(path)!r} holds no weights; found {keys}, looked also under {', '.join(WRAPPERS)}."
        )
    return {str(name): value for name, value in found.items()}


def _holds_tensors(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    return any(isinstance(item, Tensor) or _holds_tensors(item) for item in value.values())


def _fitting_names(found: dict[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Cut up to three prefixes off every name where that makes more of them fit."""
    candidates = level = [found]
    for _ in range(3):
        level = [shorter for longer in level for shorter in _stripped(longer)]
        candidates = candidates + level
    return dict(max(candidates, key=lambda candidate: len(candidate.keys() & expected.keys())))


def _stripped(found: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    for prefix in PREFIXES:
        if any(name.startswith(prefix) for name in found):
            yield {name.removeprefix(prefix): value for name, value in found.items()}


def _complaints(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    other = [name for name in expected if name in found and found[name].shape != expected[name].shape]

    def shapes(name: str) -> str:
        return f"{name} {tuple(found[name].shape)} where {tuple(expected[name].shape)} is needed"

    return [
        *_counted(missing, "missing", str),
        *_counted(unexpected, "unexpected", str),
        *_counted(other, "of another shape", shapes),
    ]


def _counted(names: list[str], fault: str, show: Callable[[str], str]) -> list[str]:
    if not names:
        return []
    dots = ", ..." if len(names) > 2 else ""
    return [f"{len(names)} tensors {fault} ({', '.join(show(name) for name in names[:2])}{dots})"]


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).splitlines()[0].rstrip(".")
