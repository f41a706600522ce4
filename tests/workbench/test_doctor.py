"""A look at the machine says what is missing and how to mend it, and never holds the app up."""

import importlib
import importlib.util
import json
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from pipeline import doctor as pipeline_doctor
from tests.workbench.conftest import screen_text, until
from workbench import doctor
from workbench.memory import Memory
from workbench.modals.doctor import DoctorModal


def facts(found):
    return {fact.about: fact for fact in found}


def run(*words):
    return subprocess.run([sys.executable, "-m", "workbench", *words], capture_output=True, text=True, timeout=110)


def test_the_verb_tells_of_store_terminal_packages_data_and_processor(store):
    done = run("doctor", "--json", "--store", str(store.folder))
    found = json.loads(done.stdout)
    assert done.returncode == (0 if found["passed"] else 1)
    about = {fact["about"]: fact for fact in found["facts"]}
    for name in (
        "store",
        "disk",
        "terminal",
        "colours",
        "python",
        "torch",
        "processor",
        "compiler",
        "GPU",
        "data digits",
    ):
        assert about[name]["outcome"] in ("ok", "warn", "bad"), name
        assert about[name]["text"]
    assert about["data digits"]["outcome"] == "ok"
    assert all(fact["fix"] for fact in found["facts"] if fact["outcome"] == "bad")
    assert about["data cifar100"]["outcome"] == "ok" or "--download" in about["data cifar100"]["fix"]


def test_looking_imports_torch_in_its_own_process_only(store):
    code = (
        "import sys\nfrom pathlib import Path\nfrom workbench import doctor\n"
        f"list(doctor.facts(Path({str(store.folder)!r})))\nassert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=110)


def on_a_gpu(monkeypatch, *, cuda="12.8"):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (60 * 2**30, 80 * 2**30))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some GPU")
    monkeypatch.setattr(torch.version, "cuda", cuda)


def test_a_gpu_whose_driver_nothing_can_ask_is_told_of_the_extra(monkeypatch, tmp_path):
    on_a_gpu(monkeypatch)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    found = facts(pipeline_doctor._accelerator())
    assert found["GPU"].text == "Some GPU, 60 of 80 GiB free"
    assert found["GPU load"].outcome == "warn"
    assert found["GPU load"].fix == "Install it: pip install 'pqd-workbench[gpu]'"
    (tmp_path / "pynvml.py").touch()
    importlib.invalidate_caches()
    assert list(facts(pipeline_doctor._accelerator())) == ["GPU"]


def test_a_gpu_without_such_a_driver_is_told_of_nothing(monkeypatch, tmp_path):
    on_a_gpu(monkeypatch, cuda=None)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert list(facts(pipeline_doctor._accelerator())) == ["GPU"]


def test_a_store_that_cannot_be_written_is_bad(tmp_path):
    (tmp_path / "file").write_text("")
    found = facts(doctor.of_store(tmp_path / "file" / "store"))
    assert found["store"].outcome == "bad"
    assert "--store" in found["store"].fix


def test_a_store_that_is_not_yet_made_is_well(tmp_path):
    found = facts(doctor.of_store(tmp_path / "a" / "b"))
    assert found["store"].outcome == "ok"
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("environment", "outcome", "words"),
    [
        ({"TERM": "xterm-256color"}, "ok", "256"),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, "ok", "16 million"),
        ({"TERM": "linux"}, "warn", "16 (TERM=linux)"),
        ({"TERM": "dumb"}, "warn", "'dumb'"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, "ok", "NO_COLOR"),
    ],
)
def test_colours_are_what_the_environment_says(environment, outcome, words):
    found = facts(doctor.of_terminal(environment))["colours"]
    assert found.outcome == outcome
    assert words in found.text


def test_a_console_without_braille_is_told_of_the_marker():
    assert "PQD_MARKER=ascii" in facts(doctor.of_terminal({"TERM": "linux"}))["letters"].fix


def test_a_line_over_ssh_is_told_of_what_makes_it_quick():
    assert "--low-bandwidth" in facts(doctor.of_terminal({"TERM": "xterm", "SSH_TTY": "/dev/pts/1"}))["line"].text


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
async def test_the_dialog_fills_while_the_app_goes_on(app, size):
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.shelf.rows is not None)
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, DoctorModal) and "disk" in screen_text(app))
        assert not app.screen._is_over
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, DoctorModal))
        await pilot.press("2")
        await until(pilot, lambda: app.current_mode == "compose")


async def test_a_newcomer_is_offered_it_once(app, tmp_path):
    app.everywhere = Memory(tmp_path / "everywhere.json")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: "F2 looks over this machine" in screen_text(app))
    app.everywhere.write()
    assert Memory(tmp_path / "everywhere.json").get("welcomed", False)


@pytest.mark.skipif(importlib.util.find_spec("textual_serve") is not None, reason="the extra is installed")
def test_without_the_extra_serving_names_what_to_install():
    done = run("serve")
    assert done.returncode == 2
    assert "install it: pip install 'pqd-workbench[serve]'" in done.stderr


@pytest.mark.skipif(importlib.util.find_spec("textual_serve") is None, reason="needs the extra 'serve'")
def test_the_app_is_served_on_this_machine_alone(store):
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port = asked.getsockname()[1]
    command = [sys.executable, "-m", "workbench", "serve", "--port", str(port), "--store", str(store.folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=5) as page:
                    assert page.status == 200
                break
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.1)
        process.terminate()
