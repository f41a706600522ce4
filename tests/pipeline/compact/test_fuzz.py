import json
import resource
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from pipeline.compact import file
from pipeline.errors import CheckpointError
from tests.pipeline.compact.networks import network

CASES = 10_000
HEADROOM = 1 << 30
SECONDS = 300


@pytest.mark.slow
def test_ten_thousand_damaged_files_are_read_exactly_or_refused(tmp_path):
    """In a process of its own: it may take a GiB more than it has, and five minutes."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.pipeline.compact.test_fuzz", str(tmp_path / "x")],
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["exact"] + found["refused"] == CASES
    assert found["refused"] > 0.9 * CASES
    assert found["reasons"] >= 6


def flip_bits(content, rng):
    damaged = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        damaged[int(rng.integers(len(damaged)))] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def replace_run(content, rng):
    start, length = int(rng.integers(len(content))), int(rng.integers(1, 64))
    run = rng.integers(0, 256, length).astype(np.uint8).tobytes() if rng.random() < 0.5 else bytes(length)
    return content[:start] + run + content[start + (length if rng.random() < 0.7 else 0) :]


def truncate(content, rng):
    return content[: int(rng.integers(len(content)))]


def edit_header(content, rng):
    """Change one digit of the safetensors header, or its length."""
    length = int.from_bytes(content[:8], "little")
    if rng.random() < 0.2:
        return int(rng.integers(0, 2 ** int(rng.integers(1, 63)))).to_bytes(8, "little") + content[8:]
    digits = [place for place in range(8, 8 + length) if content[place] in b"0123456789"]
    place = digits[int(rng.integers(len(digits)))]
    return content[:place] + str(rng.integers(10)).encode() + content[place + 1 :]


def edit_index(content, rng):
    """Change the text of the index, or one value in it, and deflate it again."""
    parts = parts_of(content)
    document = zlib.decompress(parts["index"][file.DIGEST_BYTES :])
    if rng.random() < 0.3:
        document = (flip_bits, replace_run, truncate)[int(rng.integers(3))](document, rng)
    else:
        index = json.loads(document)
        record = index["tensors"][int(rng.integers(len(index["tensors"])))]
        field = int(rng.integers(len(record)))
        odd = (-1, 0, 1, 4, 97, 2**20, 2**31, 2**40, 2**70, "int8", "float32", "", None, [], [2**31] * 3, [1] * 70, 0.5)
        codecs = ("plain", "codes", "sparse-codes", "sparse")
        places = [value for value in record if isinstance(value, list)]
        if places and places[0] and rng.random() < 0.4:
            places[0][int(rng.integers(len(places[0])))] = odd[int(rng.integers(9))]
        else:
            choices = codecs if field == 3 and rng.random() < 0.7 else odd
            record[field] = choices[int(rng.integers(len(choices)))]
        document = json.dumps(index).encode()
    return joined(parts | {"index": parts["index"][: file.DIGEST_BYTES] + zlib.compress(document)})


def edit_streams(content, rng):
    """Damage what the coders read, so that it gets past everything that is checked before."""
    parts = parts_of(content)
    name = ("coded", "coded", "coded", "plain", "index")[int(rng.integers(5))]
    part = (flip_bits, replace_run)[int(rng.integers(2))](parts[name], rng)
    return joined(parts | {name: part[: len(parts[name])].ljust(len(parts[name]), b"\0")})


def parts_of(content):
    scratch.write_bytes(content)
    return {name: part.tobytes() for name, part in load_file(scratch).items()}


def joined(parts):
    return save({name: np.frombuffer(part, np.uint8) for name, part in parts.items()}, {"mean": "[0.5]"})


def main(path):
    """Damage a checkpoint in many ways; whatever is neither read exactly nor refused ends the process."""
    tensors = network(width=4)
    metadata = {"mean": "[0.5]", "recipe": "name = 'x'\n" * 40}
    file.write(path, tensors, metadata)
    original = path.read_bytes()
    file.read(path)
    used = (
        int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() if sys.platform == "linux" else 0
    )
    if used:
        resource.setrlimit(resource.RLIMIT_AS, (used + HEADROOM, used + HEADROOM))
    rng, exact, reasons = np.random.default_rng(2026), 0, {}
    ways = (flip_bits, replace_run, truncate, edit_header, edit_index, edit_index, edit_streams, edit_streams)
    for case in range(CASES):
        path.write_bytes(ways[case % len(ways)](original, rng))
        try:
            found, texts = file.read(path)
        except CheckpointError as error:
            text = str(error)
            assert str(path) in text
            assert text.endswith(".")
            reason = text.split("cannot be read: ")[-1][:12]
            reasons[reason] = reasons.get(reason, 0) + 1
            continue
        assert list(found) == list(tensors)
        assert all(found[name].tobytes() == tensor.tobytes() for name, tensor in tensors.items())
        assert texts == metadata
        exact += 1
    print(json.dumps({"exact": exact, "refused": sum(reasons.values()), "reasons": len(reasons)}))


if __name__ == "__main__":
    scratch = Path(sys.argv[1]).with_suffix(".scratch")
    main(Path(sys.argv[1]))
