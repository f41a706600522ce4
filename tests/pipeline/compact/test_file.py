import json
import zlib

import msgspec
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from pipeline.compact import coding, file
from pipeline.errors import CheckpointError
from tests.pipeline.compact.networks import network, pruned


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.pqd.safetensors"


def parts_of(path):
    return {name: part.tobytes() for name, part in load_file(path).items()}


def index_of(path):
    return json.loads(zlib.decompress(parts_of(path)["index"][file.DIGEST_BYTES :]))


def rewrite(path, index=None, metadata=None, **parts):
    """Write the parts of a file again, with some of them exchanged; the digest stays what it was."""
    found = parts_of(path)
    if index is not None:
        document = index if isinstance(index, bytes) else json.dumps(index).encode()
        found["index"] = found["index"][: file.DIGEST_BYTES] + zlib.compress(document)
    found |= parts
    save_file({name: np.frombuffer(part, np.uint8) for name, part in found.items()}, path, metadata)


def refused(path, match):
    with pytest.raises(CheckpointError, match=match) as error:
        file.read(path)
    text = str(error.value)
    assert str(path) in text
    assert text.endswith(".")
    assert "\n" not in text


def test_tensors_and_metadata_come_back_exactly_and_in_order(path):
    tensors = (
        network()
        | {f"other.{kind}": np.array([0, 1, 2, 3], kind) for kind in sorted(file.DTYPES)}
        | {"empty": np.zeros((3, 0, 2), np.int8), "none": np.zeros(0, np.float32)}
    )
    tensors["columns first"] = np.asfortranarray(pruned((32, 16, 3, 3), zeros=0.8))
    tensors["cut"] = pruned((32, 32), zeros=0.8)[::2, ::-1]
    metadata = {"recipe": "name = 'ä'\n" * 300, "classes": '["cat"]', "empty": ""}
    file.write(path, tensors, metadata)
    found, texts = file.read(path)
    assert list(found) == list(tensors)
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].shape == tensor.shape
        assert found[name].tobytes() == tensor.tobytes()
    assert texts == metadata


def test_what_was_read_can_be_changed(path):
    file.write(path, network(), {})
    tensors, _ = file.read(path)
    for tensor in tensors.values():
        tensor[...] = 0


def test_short_texts_stand_in_the_header_and_long_ones_are_deflated(path):
    file.write(path, network(), {"mean": "[0.5]", "recipe": "x" * 5000})
    with safe_open(path, framework="np") as opened:
        assert opened.metadata() == {"mean": "[0.5]"}
    assert path.stat().st_size < len(path.read_bytes()) + 1
    assert "xxxx" not in path.read_bytes().decode("latin-1")


def test_sizes_say_what_each_tensor_takes_and_what_its_entropy_is(path):
    tensors = network()
    file.write(path, tensors, {})
    sizes = {size.name: size for size in file.sizes(path)}
    assert list(sizes) == list(tensors)
    parts = parts_of(path)
    assert sum(size.coded_bytes for size in sizes.values()) == len(parts["coded"]) + len(parts["plain"])
    for name, tensor in tensors.items():
        assert sizes[name].shape == tensor.shape
        assert sizes[name].dtype == tensor.dtype.name
        assert sizes[name].num_nonzero == np.count_nonzero(tensor)
        assert sizes[name].coded_bytes <= tensor.nbytes
    assert sizes["conv2.weight"].bound_bytes == file.zero_order_bytes(tensors["conv2.weight"])
    assert sizes["conv2.bias"].bound_bytes == sizes["conv2.bias"].coded_bytes == tensors["conv2.bias"].nbytes
    assert sizes["fc.weight"].coded_bytes < 0.8 * tensors["fc.weight"].nbytes


def test_tensors_are_stored_plain_where_coding_would_not_save(path):
    rng = np.random.default_rng(0)
    tensors = {
        "tiny": np.array([[3]], np.int8),
        "noise": rng.integers(-128, 128, (20, 20)).astype(np.int8),
        "dense": rng.normal(size=(30, 30)).astype(np.float32),
    }
    file.write(path, tensors, {})
    assert [record[3] for record in index_of(path)["tensors"]] == ["plain"] * 3
    assert parts_of(path)["coded"] == b""


def test_a_network_of_zeros_is_padded_so_that_small_files_stay_small_in_memory(path):
    tensors = {"weight": np.zeros((2048, 2048), np.int8)}
    file.write(path, tensors, {})
    assert len(parts_of(path)["coded"]) == (2048 * 2048 - file.FREE_VALUES) // file.VALUES_PER_BYTE
    assert np.array_equal(file.read(path)[0]["weight"], tensors["weight"])


def test_a_type_that_cannot_be_held_is_named(path):
    with pytest.raises(CheckpointError, match=r"tensor 'w' has type complex64, .* allowed: bool, float16, "):
        file.write(path, {"w": np.zeros(2, np.complex64)}, {})
    assert not path.exists()


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be written"):
        file.write(tmp_path / "absent" / "x", network(), {})


def test_what_is_no_compact_checkpoint_is_refused(path):
    refused(path, "there is no checkpoint")
    path.write_bytes(b"")
    refused(path, "cannot be read")
    path.write_bytes(b"\xff" * 200)
    refused(path, "cannot be read")
    save_file({"weight": np.zeros(3, np.int8)}, path)
    refused(path, "no compact checkpoint, which holds index, coded, plain")
    save_file({name: np.zeros(40, np.int8) for name in file.PARTS}, path)
    refused(path, "'index' is no row of bytes")
    refused(path.parent, "cannot be read")


def test_damage_names_the_tensor(path):
    file.write(path, network(), {})
    coded = bytearray(parts_of(path)["coded"])
    coded[len(coded) // 2] ^= 1
    rewrite(path, coded=bytes(coded))
    refused(path, "the tensor 'conv2.weight' (cannot be decoded|does not match its checksum)")


def test_a_changed_scale_or_text_does_not_pass(path):
    file.write(path, network(), {"mean": "[0.5]"})
    plain = bytearray(parts_of(path)["plain"])
    plain[-1] ^= 1
    rewrite(path, plain=bytes(plain), metadata={"mean": "[0.5]"})
    refused(path, "content does not match its checksum")
    file.write(path, network(), {"mean": "[0.5]"})
    rewrite(path, metadata={"mean": "[0.6]"})
    refused(path, "content does not match its checksum")


NAME, DTYPE, SHAPE, CODEC, NUM_BYTES = range(5)


@pytest.mark.parametrize(
    ("tensor", "field", "value", "match"),
    [
        ("conv2.weight", SHAPE, [2**31, 2**31], "'conv2.weight' claims the shape"),
        ("conv2.weight", SHAPE, [1] * 40, "'conv2.weight' claims the shape"),
        ("conv2.weight", SHAPE, [2**30], "do not fill it exactly"),
        ("conv2.weight", SHAPE, [32, 16, 3, 2], "'conv2.weight' (cannot be decoded|does not match)"),
        ("conv2.weight", SHAPE, [-1], "index is wrong"),
        ("conv2.weight", SHAPE, [0], "claims the shape"),
        ("conv2.weight", DTYPE, "float64", "'conv2.weight' is float64, which the codec"),
        ("conv2.weight", DTYPE, "object", "unknown type 'object'"),
        ("conv2.weight", CODEC, "zip", "index is wrong"),
        ("conv2.weight", CODEC, "codes", "'conv2.weight' (cannot be decoded|does not match)"),
        ("conv2.weight", NUM_BYTES, 4, "do not fill it exactly"),
        ("conv2.weight", NUM_BYTES, 5, "a stream of 5 bytes"),
        ("conv2.weight", NUM_BYTES, 2**62, "do not fill it exactly"),
        ("conv2.weight", NAME, "conv1.weight", "two of its tensors have one name"),
        ("conv2.weight", NAME, "other", "content does not match"),
        ("conv2.bias", SHAPE, [2**31], "'conv2.bias' claims the shape"),
        ("conv2.bias", SHAPE, [2, 16], "content does not match"),
        ("conv2.bias", DTYPE, "float32", "content does not match"),
    ],
)
def test_lies_of_a_record_are_refused(path, tensor, field, value, match):
    file.write(path, network(), {})
    index = index_of(path)
    next(record for record in index["tensors"] if record[NAME] == tensor)[field] = value
    rewrite(path, index=index)
    refused(path, match)


def test_lies_of_the_index_are_refused(path):
    file.write(path, network(), {})
    original, index = path.read_bytes(), index_of(path)
    missing = index | {"tensors": index["tensors"][:-1]}
    for document, match in (
        (b"{", "index is wrong"),
        (b'{"format": "\xff"}', "index is wrong"),
        (index | {"format": 2}, "index is wrong"),
        (index | {"more": 1}, "index is wrong"),
        (missing, "do not fill it exactly"),
        (index | {"tensors": []}, "do not fill it exactly"),
        (b" " * (file.MAX_INDEX_BYTES + 1), "cut off, too long"),
    ):
        path.write_bytes(original)
        rewrite(path, index=document)
        refused(path, match)
    path.write_bytes(original)
    rewrite(path, plain=parts_of(path)["plain"] + b"\0")
    refused(path, "do not fill it exactly")
    path.write_bytes(original)
    rewrite(path, index=parts_of(path)["index"])
    refused(path, "index is wrong")


def test_a_decoder_that_disagrees_with_the_writer_is_noticed(path, monkeypatch):
    file.write(path, network(), {})
    monkeypatch.setattr(coding, "KERNEL_WEIGHTS", 5)
    refused(path, "cannot be decoded|does not match its checksum")


def test_the_record_of_a_tensor_is_json(path):
    file.write(path, network(), {})
    index = index_of(path)
    assert index["format"] == 1
    assert index["tensors"][2][:4] == ["conv1.weight", "int8", [16, 3, 3, 3], "sparse-codes"]
    assert msgspec.json.decode(json.dumps(index).encode(), type=file._Index).tensors[2].name == "conv1.weight"
