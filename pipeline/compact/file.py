"""Reading and writing the compact checkpoint: one safetensors file, no pickle, nothing that is executed.

It holds three arrays of bytes. ``index`` is the SHA-256 of all that is read from the file, then a deflated JSON object
with a record of each tensor: written out, the names of a hundred scales and biases take more room than their values.
``coded`` holds the streams of the coded tensors, ``plain`` the bytes of all others, both in the order of the records.
Short texts of the metadata stand in the header, where any reader of safetensors shows them; long ones in the index.
"""

import hashlib
import math
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from pipeline import files
from pipeline.compact import coding
from pipeline.errors import CheckpointError
from pipeline.report import TensorSize

Array = NDArray[Any]
Parts = dict[str, bytes]

DTYPES = frozenset(
    ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64")
)
PARTS = ("index", "coded", "plain")
DIGEST_BYTES = 32
LONG_TEXT = 256
"""Characters from which a text of the metadata is deflated."""
MAX_INDEX_BYTES = 1 << 26
"""Of the inflated index."""
MAX_VALUES = 1 << 31
"""Of one tensor."""
FREE_VALUES, VALUES_PER_BYTE = 1 << 20, 1 << 10
"""A file may claim so many coded values, and so many more for each byte of ``coded``. A network of hardly anything but
zeros takes less than that and is padded, so that no small file makes its reader allocate much."""


class _Tensor(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    name: str
    dtype: str
    shape: tuple[Annotated[int, Meta(ge=0, le=MAX_VALUES)], ...]
    codec: coding.Codec
    num_bytes: Annotated[int, Meta(ge=0, le=1 << 62)]
    """In ``coded`` or ``plain``."""
    checksum: int
    """CRC-32 of the decoded bytes: tells which tensor is damaged. 0 for a plain one."""

    @property
    def num_values(self) -> int:
        return math.prod(self.shape)


class _Index(Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal[1]
    tensors: tuple[_Tensor, ...]
    texts: dict[str, str]
    """The long ones of the metadata."""


class _Damaged(Exception):
    """What is wrong with a file, as the rest of a sentence."""


def write(path: Path, tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Write tensors as a compact checkpoint: whole, or not at all.

    Args:
        path: of the file, in a folder that exists.
        tensors: by name; bool, integers and floats of 8 to 64 bits. Those of int8, and those of float32 with zeros, are
            coded where that is smaller.
        metadata: texts, by name.

    Raises:
        CheckpointError: the file cannot be written, or a tensor has another type.
    """
    for name, tensor in tensors.items():
        if tensor.dtype.name not in DTYPES:
            raise CheckpointError(
                f"the tensor {name!r} has type {tensor.dtype.name}, which the checkpoint {str(path)!r} cannot hold; "
                f"allowed: {', '.join(sorted(DTYPES))}."
            )
    in_order = {name: np.asarray(tensor, tensor.dtype.newbyteorder("<"), order="C") for name, tensor in tensors.items()}
    models, streams, records = coding.Models(), dict[str, bytes](), list[_Tensor]()
    for name, tensor in in_order.items():
        codec, streams[name], models = _encoded(tensor, models)
        checksum = zlib.crc32(tensor.tobytes()) if codec != "plain" else 0
        records.append(_Tensor(name, tensor.dtype.name, tensor.shape, codec, len(streams[name]), checksum))
    coded = b"".join(streams[record.name] for record in records if record.codec != "plain")
    plain = b"".join(streams[record.name] for record in records if record.codec == "plain")
    short = {name: text for name, text in metadata.items() if len(text) < LONG_TEXT}
    index = _Index(1, tuple(records), {name: text for name, text in metadata.items() if name not in short})
    document = msgspec.json.encode(index)
    parts = {
        "index": _digest(document, short, in_order.values()) + zlib.compress(document, 9),
        "coded": coded.ljust(_least_bytes(records), b"\0"),
        "plain": plain,
    }
    try:
        arrays = {name: np.frombuffer(part, np.uint8) for name, part in parts.items()}
        files.write_bytes(path, save(arrays, short))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"the checkpoint {str(path)!r} cannot be written: {error}.") from None


def read(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """Read a compact checkpoint; returns its tensors by name, exactly as they were written, and its metadata.

    Raises:
        CheckpointError: the file is absent, damaged, or claims what its bytes do not hold.
    """
    _, tensors, metadata = _read(path)
    return tensors, metadata


def sizes(path: Path) -> tuple[TensorSize, ...]:
    """Weigh each tensor of a compact checkpoint, in the order of the file; what is coded is decoded for that.

    Raises:
        CheckpointError: as ``read``.
    """
    records, tensors, _ = _read(path)
    return tuple(
        TensorSize(
            name=record.name,
            shape=record.shape,
            dtype=record.dtype,
            num_nonzero=int(np.count_nonzero(tensors[record.name])),
            coded_bytes=record.num_bytes,
            bound_bytes=float(record.num_bytes) if record.codec == "plain" else zero_order_bytes(tensors[record.name]),
        )
        for record in records
    )


def zero_order_bytes(tensor: Array) -> float:
    """Give the least bytes for weights that are coded one by one, each alike, with the frequencies known beforehand.

    ``N H(Q) / 8``, which is ``N (H(zero or not) + density H(Q | not zero)) / 8`` (Shannon 1948). Values of float32
    that are not zero count four bytes each.

    Args:
        tensor: int8 or float32, any shape.
    """
    if tensor.dtype == np.int8:
        return _entropy_bytes(np.bincount(tensor.reshape(-1).view(np.uint8)))
    nonzero = int(np.count_nonzero(tensor.view(np.uint32)))
    return _entropy_bytes(np.array((nonzero, tensor.size - nonzero))) + 4.0 * nonzero


def _entropy_bytes(counts: NDArray[np.int64]) -> float:
    found = counts[counts > 0]
    return float(-(found * np.log2(found / found.sum())).sum()) / 8 if len(found) > 1 else 0.0


def _encoded(tensor: Array, models: coding.Models) -> tuple[coding.Codec, bytes, coding.Models]:
    """Give the smallest form of a tensor, and the models that have learnt from it if it is coded."""
    codec = coding.codec_of(tensor)
    if codec != "plain":
        learnt = models.copy()
        stream = coding.encode(tensor, codec, learnt)
        if len(stream) < tensor.nbytes:
            return codec, stream, learnt
    return "plain", tensor.tobytes(), models


def _least_bytes(records: Iterable[_Tensor]) -> int:
    """Give the bytes that ``coded`` must have for the number of values that it claims."""
    values = sum(record.num_values for record in records if record.codec != "plain")
    return -(-max(0, values - FREE_VALUES) // VALUES_PER_BYTE)


def _digest(document: bytes, texts: Mapping[str, str], tensors: Iterable[Array]) -> bytes:
    """Give the SHA-256 of all that a reader gets to see."""
    found = hashlib.sha256(document)
    found.update(msgspec.json.encode(sorted(texts.items())))
    for tensor in tensors:
        found.update(tensor.tobytes())
    return found.digest()


def _read(path: Path) -> tuple[tuple[_Tensor, ...], dict[str, Array], dict[str, str]]:
    try:
        parts, texts = _parts(path)
        document = _inflated(parts["index"][DIGEST_BYTES:])
        index = _index(document)
        tensors = _decoded(index.tensors, parts)
        if _digest(document, texts, tensors.values()) != parts["index"][:DIGEST_BYTES]:
            raise _Damaged("its content does not match its checksum")
        return index.tensors, tensors, texts | index.texts
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint {str(path)!r}.") from None
    except (_Damaged, OSError, SafetensorError) as error:
        raise CheckpointError(f"the checkpoint {str(path)!r} cannot be read: {error}.") from None


def _parts(path: Path) -> tuple[Parts, dict[str, str]]:
    with safe_open(path, framework="np") as opened:
        if sorted(opened.keys()) != sorted(PARTS):
            raise _Damaged(f"it is no compact checkpoint, which holds {', '.join(PARTS)} and nothing else")
        for name in PARTS:
            found = opened.get_slice(name)
            if found.get_dtype() != "U8" or len(found.get_shape()) != 1:
                raise _Damaged(f"its part {name!r} is no row of bytes")
        return {name: opened.get_tensor(name).tobytes() for name in PARTS}, dict(opened.metadata() or {})


def _inflated(deflated: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        document = inflater.decompress(deflated, MAX_INDEX_BYTES)
    except zlib.error as error:
        raise _Damaged(f"its index cannot be inflated ({error})") from None
    if not inflater.eof or inflater.unused_data:
        raise _Damaged("its index is cut off, too long, or followed by something else")
    return document


def _index(document: bytes) -> _Index:
    try:
        index = msgspec.json.decode(document, type=_Index)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _Damaged(f"its index is wrong ({error})") from None
    if len({record.name for record in index.tensors}) < len(index.tensors):
        raise _Damaged("two of its tensors have one name")
    return index


def _decoded(records: tuple[_Tensor, ...], parts: Parts) -> dict[str, Array]:
    """Read all tensors; what they claim is checked before anything is allocated."""
    used = {"coded": 0, "plain": 0}
    for record in records:
        _check(record)
        used[_part(record)] += record.num_bytes
    if used["plain"] != len(parts["plain"]) or len(parts["coded"]) != max(used["coded"], _least_bytes(records)):
        raise _Damaged("its tensors do not fill it exactly")
    tensors, models, starts = dict[str, Array](), coding.Models(), {"coded": 0, "plain": 0}
    for record in records:
        part, start = _part(record), starts[_part(record)]
        starts[part] = start + record.num_bytes
        content = parts[part][start : starts[part]]
        if part == "plain":
            flat = np.frombuffer(content, np.dtype(record.dtype).newbyteorder("<"))
            tensors[record.name] = flat.astype(record.dtype).reshape(record.shape)
        else:
            tensors[record.name] = _decoded_stream(record, content, models)
    return tensors


def _part(record: _Tensor) -> str:
    return "plain" if record.codec == "plain" else "coded"


def _check(record: _Tensor) -> None:
    if record.dtype not in DTYPES:
        _damaged(record, f"has the unknown type {record.dtype!r}")
    if len(record.shape) > 32 or math.prod(max(1, side) for side in record.shape) > MAX_VALUES:
        _damaged(record, f"claims the shape {record.shape}")
    if record.codec == "plain":
        if record.num_bytes != record.num_values * np.dtype(record.dtype).itemsize:
            _damaged(record, f"claims the shape {record.shape} and {record.num_bytes} bytes")
    elif record.dtype != ("float32" if record.codec == "sparse" else "int8"):
        _damaged(record, f"is {record.dtype}, which the codec {record.codec!r} does not write")
    elif record.num_bytes % 4 or not record.num_values:
        _damaged(record, f"claims the shape {record.shape} and a stream of {record.num_bytes} bytes")


def _decoded_stream(record: _Tensor, stream: bytes, models: coding.Models) -> Array:
    try:
        tensor = coding.decode(stream, record.shape, record.codec, models)
    except ValueError as error:
        _damaged(record, f"cannot be decoded: {error}")
    if zlib.crc32(tensor.tobytes()) != record.checksum:
        _damaged(record, "does not match its checksum")
    return tensor


def _damaged(record: _Tensor, fault: str) -> NoReturn:
    raise _Damaged(f"the tensor {record.name!r} {fault}")
