import functools
import hashlib
import http.server
import io
import os
import pickle
import subprocess
import sys
import tarfile
import threading

import numpy as np
import pytest

from pipeline.datasets.cifar10 import Cifar10
from pipeline.datasets.cifar100 import Cifar100
from pipeline.errors import DatasetError


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tmp_path):
    """A web server on this machine; gives its address and its folder."""
    folder = tmp_path / "served"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as served:
        thread = threading.Thread(target=served.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}", folder
        served.shutdown()
        thread.join()


def batch(count, seed, labels, classes):
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, classes, count).tolist()
    return pickle.dumps({"data": rng.integers(0, 256, (count, 3072), dtype=np.uint8), labels: drawn})


def archive(path, folder, contents):
    with tarfile.open(path, "w:gz") as packed:
        for name, content in contents.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return hashlib.md5(path.read_bytes()).hexdigest()


def publish(monkeypatch, reader, server, contents, folder):
    """Serve a small archive in the published format, and let torchvision expect its checksums."""
    import torchvision.datasets

    published = getattr(torchvision.datasets, reader)
    address, served = server
    md5s = {name: hashlib.md5(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(published, "url", f"{address}/{published.filename}")
    monkeypatch.setattr(published, "tgz_md5", archive(served / published.filename, folder, contents))
    for attribute in ("train_list", "test_list"):
        known = [[name, md5s[name]] for name, _ in getattr(published, attribute)]
        monkeypatch.setattr(published, attribute, known)
    monkeypatch.setattr(published, "meta", {**published.meta, "md5": md5s[published.meta["filename"]]})
    return served / published.filename


@pytest.fixture
def cifar10(monkeypatch, server):
    contents = {f"data_batch_{number}": batch(8, number, "labels", 10) for number in range(1, 6)}
    contents["test_batch"] = batch(6, 9, "labels", 10)
    contents["batches.meta"] = pickle.dumps({"label_names": [f"thing {number}" for number in range(10)]})
    return publish(monkeypatch, "CIFAR10", server, contents, "cifar-10-batches-py")


def test_it_is_fetched_told_as_it_goes_and_read(cifar10, tmp_path):
    told = []
    folder = tmp_path / "data"
    splits = Cifar10(folder=str(folder), download=True).load(lambda done, total: told.append((done, total)))
    size = cifar10.stat().st_size
    assert told[-1] == (size, size)
    assert splits.x_train.shape == (40, 3, 32, 32)
    assert splits.x_test.shape == (6, 3, 32, 32)
    assert splits.classes[3] == "thing 3"
    assert splits.mean == Cifar10.published_mean
    expected = pickle.loads(batch(6, 9, "labels", 10))
    np.testing.assert_array_equal(splits.x_test.reshape(6, -1), expected["data"])
    assert splits.y_test.tolist() == expected["labels"]
    assert [path.name for path in folder.iterdir()] == ["cifar-10-batches-py"]


def test_it_is_fetched_only_once(cifar10, tmp_path):
    folder = str(tmp_path / "data")
    Cifar10(folder=folder, download=True).load()
    cifar10.unlink()
    assert Cifar10(folder=folder).absent() is None
    assert len(Cifar10(folder=folder).load().x_train) == 40


def test_it_is_never_fetched_unasked(cifar10, tmp_path):
    dataset = Cifar10(folder=str(tmp_path / "data"))
    reason = dataset.absent()
    assert reason is not None
    assert "dataset.download = true" in reason
    assert "163 MiB" in reason
    with pytest.raises(DatasetError, match="CIFAR-10 is not in"):
        dataset.load()
    assert not (tmp_path / "data").exists()


def test_an_archive_that_lies_there_is_unpacked_and_kept(cifar10, tmp_path):
    placed = tmp_path / "data" / cifar10.name
    placed.parent.mkdir()
    cifar10.rename(placed)
    dataset = Cifar10(folder=str(placed.parent))
    assert dataset.absent() is None
    assert len(dataset.load().x_train) == 40
    assert placed.exists()


def test_another_archive_is_refused(cifar10, tmp_path):
    placed = tmp_path / "data" / cifar10.name
    placed.parent.mkdir()
    placed.write_bytes(b"something else")
    with pytest.raises(DatasetError, match="is not the published archive of CIFAR-10"):
        Cifar10(folder=str(placed.parent)).load()


def test_a_download_with_another_checksum_leaves_nothing(cifar10, tmp_path):
    cifar10.write_bytes(b"something else")
    with pytest.raises(DatasetError, match="has the MD5"):
        Cifar10(folder=str(tmp_path / "data"), download=True).load()
    assert list((tmp_path / "data").iterdir()) == []


def test_an_interrupted_download_leaves_nothing(cifar10, tmp_path):
    class Stopped(BaseException):
        pass

    def stop(done, total):
        raise Stopped

    with pytest.raises(Stopped):
        Cifar10(folder=str(tmp_path / "data"), download=True).load(stop)
    assert list((tmp_path / "data").iterdir()) == []


def test_a_server_that_does_not_have_it_is_named(cifar10, tmp_path):
    cifar10.unlink()
    with pytest.raises(DatasetError, match=r"^http://127.* could not be fetched into .*: .*[^.]\.$"):
        Cifar10(folder=str(tmp_path / "data"), download=True).load()


def test_damaged_files_are_never_unpickled(cifar10, tmp_path):
    folder = tmp_path / "data"
    Cifar10(folder=str(folder), download=True).load()
    (folder / "cifar-10-batches-py" / "data_batch_2").write_bytes(b"c__builtin__\nprint\n")
    with pytest.raises(DatasetError, match="are not the published CIFAR-10"):
        Cifar10(folder=str(folder)).load()


def test_an_incomplete_folder_is_replaced(cifar10, tmp_path):
    partial = tmp_path / "data" / "cifar-10-batches-py"
    partial.mkdir(parents=True)
    (partial / "data_batch_1").write_bytes(b"half")
    assert len(Cifar10(folder=str(tmp_path / "data"), download=True).load().x_train) == 40


def test_the_hundred_fine_classes_are_read(monkeypatch, server, tmp_path):
    contents = {
        "train": batch(9, 1, "fine_labels", 100),
        "test": batch(4, 2, "fine_labels", 100),
        "meta": pickle.dumps({"fine_label_names": [f"thing {number}" for number in range(100)]}),
    }
    publish(monkeypatch, "CIFAR100", server, contents, "cifar-100-python")
    splits = Cifar100(folder=str(tmp_path / "data"), download=True, mean=(0.5, 0.5, 0.5)).load()
    assert splits.x_train.shape == (9, 3, 32, 32)
    assert len(splits.classes) == 100
    assert splits.mean == (0.5, 0.5, 0.5)
    assert splits.std == Cifar100.published_std
    with pytest.raises(DatasetError, match="a list of 3"):
        Cifar100(folder=str(tmp_path / "data"), std=(0.5,)).load()


def test_what_is_declared_is_what_torchvision_reads():
    import torchvision.datasets

    for dataset in (Cifar10, Cifar100):
        published = getattr(torchvision.datasets, dataset.reader)
        names = {name for name, _ in published.train_list + published.test_list} | {published.meta["filename"]}
        assert set(dataset.batches) == names
        assert dataset.batches_folder == published.base_folder
        assert dataset.archive == published.filename


def test_a_torchvision_that_does_not_match_torch_is_explained(tmp_path):
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    (tmp_path / "data" / "cifar-10-batches-py").mkdir(parents=True)
    code = (
        "from pipeline.datasets.cifar10 import Cifar10; from pipeline.errors import MissingDependency\n"
        "try: Cifar10(folder='data', download=True).load()\n"
        "except MissingDependency as error: print(error)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    message = ran.stdout.strip()
    assert message
    assert "\n" not in message
    assert "operator torchvision::nms does not exist" in message
    assert "torch 2" in message
    assert "torchvision 0" in message
    assert "uv pip install" in message


def test_the_data_are_identified_by_name_and_changed_statistics():
    assert Cifar10().fingerprint() == Cifar10(folder="elsewhere", download=True).fingerprint()
    assert len({Cifar10().fingerprint(), Cifar100().fingerprint(), Cifar10(mean=(0.5, 0.5, 0.5)).fingerprint()}) == 3
