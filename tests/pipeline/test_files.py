import os
import signal
import subprocess
import sys

import pytest

from pipeline import files


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")

    def write_half():
        with files.replacing(path) as temporary:
            temporary.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_gets_the_permissions_that_the_umask_grants(tmp_path):
    old = os.umask(0o027)
    try:
        files.write_text(tmp_path / "a", "x")
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_a_writer_killed_at_any_moment_never_leaves_half_a_file(tmp_path):
    path = tmp_path / "a.bin"
    script = (
        "import sys\nfrom pathlib import Path\nfrom pipeline import files\n"
        "print('ready', flush=True)\n"
        "for n in range(10**9): files.write_bytes(Path(sys.argv[1]), bytes([n % 256]) * 300_000)\n"
    )
    for _ in range(5):
        writer = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE)
        writer.stdout.readline()
        while not path.exists():
            pass
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        content = path.read_bytes()
        assert len(content) == 300_000
        assert len(set(content)) == 1
