"""A look at the machine says what is missing and how to mend it, and never holds the app up."""

import asyncio
import importlib
import importlib.util
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from pipeline import doctor as pipeline_doctor
from tests.workbench import fakes
from tests.workbench.conftest import screen_text, until
from tests.workbench.terminals import Screen
from workbench import cli, doctor, terminal
from workbench.cli import parser, serve
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
        ({"TERM": "dumb"}, "warn", "none (TERM=dumb)"),
        ({}, "warn", "none (TERM is not set)"),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, "ok", "256"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, "ok", "NO_COLOR"),
    ],
)
def test_colours_are_what_the_environment_says(environment, outcome, words):
    found = facts(doctor.of_terminal(environment))["colours"]
    assert found.outcome == outcome
    assert words in found.text


@pytest.mark.parametrize("term", ["linux", "dumb", "vt100", "xterm-256color"])
def test_the_marker_that_is_told_is_the_one_that_is_drawn_with(term):
    environment = {"TERM": term}
    found, marker = facts(doctor.of_terminal(environment))["letters"], terminal.marker(environment)
    assert found.outcome == ("ok" if marker == "braille" else "warn")
    assert marker == "braille" or f"drawn with marker {marker}" in found.text


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


def test_without_the_extra_serving_names_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "textual_serve", None)
    assert cli.main(["serve"]) == 2
    assert "install it: pip install 'pqd-workbench[serve]'" in capsys.readouterr().err


def test_each_tab_gets_the_flags_that_the_server_got(store):
    def command(*words):
        return serve.command_of(parser.make().parse_args(words))[3:]

    assert command("serve", "--store", "/runs") == ["--store", "/runs"]
    assert command("--read-only", "--store", "/runs", "serve", "--theme", "light", "--fps", "9", "--reset-view") == [
        "--store", "/runs", "--read-only", "--fps", "9", "--theme", "light", "--reset-view",
    ]  # fmt: skip
    assert command("--low-bandwidth", "serve", "--store", "/runs") == ["--store", "/runs", "--low-bandwidth"]


def listening(port):
    """The addresses, in the hexadecimal of the kernel, on which anybody listens at a port."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            address, _, number = local.partition(":")
            if state == "0A" and int(number, 16) == port:
                found.add(address)
    return found


async def shown_in_a_browser(port, wanted):
    """Be a browser: open the page, take what the app sends over the socket until a text has come."""
    screen = Screen(80, 24)
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}") as page:
            assert page.status == 200
        async with session.ws_connect(f"http://127.0.0.1:{port}/ws?width=80&height=24") as socket:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.BINARY:
                    screen.feed(message.data.decode())
                if wanted in screen.text:
                    return screen
    raise AssertionError(screen.text)


async def test_the_app_is_served_on_this_machine_alone(store, tmp_path, monkeypatch):
    monkeypatch.setenv("PQD_WORKBENCH_STATE", str(tmp_path / "state"))
    # A server is often started where there is no terminal; the browser has colours and signs all the same.
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.delenv("NO_COLOR", raising=False)
    ours = fakes.recipe_of("quiet", "P")
    fakes.add_run(store, ours, fakes.whole(ours))
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port = asked.getsockname()[1]
    command = [sys.executable, "-m", "workbench", "--read-only", "serve", "--port", str(port)]
    command += ["--store", str(store.folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + 60
            while not listening(port):
                assert time.monotonic() < end
                assert process.poll() is None
                await asyncio.sleep(0.05)
            assert listening(port) == {"0100007F"}
            screen = await asyncio.wait_for(shown_in_a_browser(port, "ok finished"), 60)
        finally:
            process.terminate()
    assert "quiet" in screen.text
    assert "read-only" in screen.lines[0]
    assert "␣ mark" in screen.text
    assert screen.colors == {"truecolor"}
