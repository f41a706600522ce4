import os
import pickle
import stat
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.engine import checkpoint
from pipeline.errors import CheckpointError

ENDINGS = ["a.pt", "a.pth", "a.th"]


def network(classes=3):
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 3), norm=nn.BatchNorm2d(4), fc=nn.Linear(4, classes)))


def trained():
    torch.manual_seed(0)
    return {name: torch.rand_like(value.float()).to(value.dtype) for name, value in network().state_dict().items()}


def loaded(path):
    model = network()
    checkpoint.load_weights(model, path)
    return model.state_dict()


def equal(found, expected):
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


def fails(path, model=None):
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load_weights(model or network(), path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_tensors_and_metadata_come_back(tmp_path):
    tensors = {
        "codes": torch.arange(-6, 6, dtype=torch.int8).view(3, 4).t(),
        "bias": torch.tensor([2**30], dtype=torch.int32),
        "scalar": torch.tensor(0.5),
        "empty": torch.zeros(0, 3),
        "trained": nn.Parameter(torch.ones(2)),
    }
    checkpoint.save(tensors, tmp_path / "a.safetensors", {"recipe": 'name = "é"'})
    found, metadata = checkpoint.read(tmp_path / "a.safetensors")
    assert equal(found, {name: tensor.detach() for name, tensor in tensors.items()})
    assert metadata == {"recipe": 'name = "é"'}


def test_tensors_that_share_memory_are_each_written(tmp_path):
    whole = torch.arange(6.0)
    checkpoint.save({"whole": whole, "same": whole, "part": whole[2:4]}, tmp_path / "a.safetensors", {})
    found, _ = checkpoint.read(tmp_path / "a.safetensors")
    assert equal(found, {"whole": whole, "same": whole, "part": whole[2:4]})


def test_a_saved_file_has_the_permissions_of_any_other_and_nothing_is_left_beside_it(tmp_path):
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    path = tmp_path / "a.safetensors"
    checkpoint.save({"a": torch.zeros(3)}, path, {})
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors", "ordinary"]


def test_what_was_read_does_not_change_with_the_file(tmp_path):
    path = tmp_path / "a.safetensors"
    checkpoint.save({"a": torch.zeros(1000)}, path, {})
    found, _ = checkpoint.read(path)
    with path.open("r+b") as opened:
        opened.seek(-4000, os.SEEK_END)
        opened.write(b"\1" * 4000)
    assert not found["a"].any()


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be written"):
        checkpoint.save({"a": torch.zeros(3)}, tmp_path / "absent" / "a.safetensors", {})


@pytest.mark.parametrize("content", [b"", b"nonsense that is long enough", b"\xff" * 64])
def test_what_is_no_safetensors_file_is_refused(tmp_path, content):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="cut short or no safetensors"):
        checkpoint.read(path)


def test_a_file_cut_short_anywhere_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    checkpoint.save({"a": torch.zeros(100)}, path, {"b": "c"})
    content = path.read_bytes()
    for length in (1, 8, 30, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match="cut short"):
            checkpoint.read(path)
    path.unlink()
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        checkpoint.read(path)


@pytest.mark.parametrize("name", ENDINGS)
@pytest.mark.parametrize("wrap", [lambda it: it, lambda it: {"epoch": 3, "state_dict": it}, lambda it: {"net": it}])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module.", "model."])
def test_weights_are_found_below_wrappers_and_prefixes(tmp_path, name, wrap, prefix):
    weights = trained()
    torch.save(wrap({prefix + key: value for key, value in weights.items()}), tmp_path / name)
    assert equal(loaded(tmp_path / name), weights)


def test_weights_of_safetensors_are_loaded(tmp_path):
    weights = trained()
    checkpoint.save(weights, tmp_path / "a.safetensors", {})
    assert equal(loaded(tmp_path / "a.safetensors"), weights)


def test_files_from_before_zip_archives_and_without_counters_are_loaded(tmp_path):
    weights = trained()
    old = {name: value for name, value in weights.items() if "num_batches" not in name}
    torch.save(old, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    found = loaded(tmp_path / "a.pt")
    assert all(torch.equal(found[name], value) for name, value in old.items())


def test_half_precision_becomes_single(tmp_path):
    torch.save({name: value.half() for name, value in trained().items()}, tmp_path / "a.pt")
    assert loaded(tmp_path / "a.pt")["fc.weight"].dtype == torch.float32


def test_what_does_not_fit_is_counted_with_examples(tmp_path):
    weights = trained()
    weights["extra"] = weights.pop("conv.bias")
    torch.save(weights, tmp_path / "a.pt")
    message = fails(tmp_path / "a.pt", network(classes=10))
    assert "1 tensors missing (conv.bias)" in message
    assert "1 tensors unexpected (extra)" in message
    assert "2 tensors of another shape (fc.weight (3, 4) where (10, 4) is needed, fc.bias (3,) where (10,)" in message


def test_a_network_that_cannot_take_the_weights_is_left_as_it_was(tmp_path):
    torch.save({**trained(), "extra": torch.zeros(1)}, tmp_path / "a.pt")
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fails(tmp_path / "a.pt", model)
    assert equal(model.state_dict(), before)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    weights = trained()
    weights["fc.bias"][1] = float("nan")
    torch.save(weights, tmp_path / "a.pt")
    assert "infinities or NaN in 'fc.bias'" in fails(tmp_path / "a.pt")


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_nothing_in_a_file_is_ever_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": trained(), "other": Malicious()}, "a.pt")
    assert "holds Python objects or code besides tensors" in fails(Path("a.pt"))
    Path("b.pt").write_bytes(pickle.dumps(Malicious(), protocol=2))
    fails(Path("b.pt"))
    assert not Path("executed").exists()


def test_whole_networks_are_refused_with_what_to_do(tmp_path):
    torch.save(network(), tmp_path / "a.pt")
    assert "save the network's state_dict() alone" in fails(tmp_path / "a.pt")


def test_damaged_absent_and_unknown_files_are_named(tmp_path):
    path = tmp_path / "a.pt"
    assert "there is no checkpoint" in fails(path)
    path.write_bytes(b"nonsense")
    assert "damaged or not written by torch.save" in fails(path)
    torch.save(trained(), path)
    path.write_bytes(path.read_bytes()[:-50])
    assert "damaged" in fails(path)
    torch.save({"epoch": 3, "optimizer": [1, 2]}, path)
    assert "holds no weights; found epoch, optimizer" in fails(path)
    assert "known are .safetensors, .pt" in fails(tmp_path / "a.h5")


def test_published_weights_answer_real_images(shared_data):
    from pipeline.backbones import resnet20

    model = resnet20.build(num_classes=10, in_channels=3).eval()
    checkpoint.load_weights(model, shared_data / "cifar10_resnet20.th")
    with np.load(shared_data / "cifar10-small.npz", allow_pickle=False) as archive:
        images, labels = archive["x_test"][:200], archive["y_test"][:200]
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = ((torch.from_numpy(images).float() / 255 - mean) / std).permute(0, 3, 1, 2)
    with torch.inference_mode():
        answers = model(x).argmax(1).numpy()
    assert (answers == labels).mean() > 0.88
