import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import errors
from pipeline.runs.store import RunStore
from tests.pipeline.exports import recorded
from tests.workbench.commands import COMMAND, call, refusal
from workbench import cli
from workbench.cli import exit_codes, parser

VERBS = list(parser.VERBS)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "store")


def test_without_a_verb_and_without_a_terminal_the_help_is_printed():
    done = call(code=2)
    assert done.stdout.startswith("usage: pqd-workbench")
    assert done.stderr == "pqd-workbench: the app needs a terminal, and this is none; name a verb.\n"


def test_a_closed_standard_input_is_no_terminal():
    done = subprocess.run(["sh", "-c", '"$@" <&-', "sh", *COMMAND], capture_output=True, text=True)
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr


def test_the_version_is_printed():
    assert call("--version").stdout.startswith("pqd-workbench 0.")


def test_the_help_lists_every_verb_and_every_exit_code():
    printed = call("--help").stdout
    for verb in VERBS:
        assert f"\n    {verb} " in printed
    for code, meaning in exit_codes.MEANINGS.items():
        assert f"{code:>3}  {meaning}" in printed


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_a_module(verb):
    assert call(verb, "--help").stdout.startswith(f"usage: pqd-workbench {verb}")
    assert (Path(parser.__file__).parent / f"{verb}.py").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["lst"], "there is no verb 'lst'; did you mean 'list'?"),
        (["list", "--jsn"], "unrecognized arguments: --jsn"),
        (["export", "x"], "the following arguments are required: --to"),
        (["run"], "the following arguments are required: PRESET_OR_FILE"),
        (["run", "smoke", "--seed", "one"], "argument --seed: invalid int value: 'one'"),
        (["frontier", "--x", "speed"], "argument --x: invalid choice: 'speed'"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(words, sentence):
    found = refusal(*words, code=2)
    assert found.startswith(sentence)
    assert "--help'." in found


def test_the_store_may_be_named_before_or_after_the_verb_or_by_the_environment(store, monkeypatch, capsys):
    run = recorded.finished(store)
    ours, elsewhere = str(store.folder), str(store.folder.parent / "elsewhere")
    for words, environment in (
        (["--store", ours, "list"], ""),
        (["list", "--store", ours], ""),
        (["--store", elsewhere, "list", "--store", ours], ""),
        (["list"], ours),
        (["list", "--store", ours], elsewhere),
    ):
        monkeypatch.setenv("PQD_WORKBENCH_STORE", environment)
        assert cli.main(words) == 0
        assert run.id in capsys.readouterr().out


def test_without_a_named_store_the_one_of_the_platform_is_used(empty_home):
    assert str(empty_home) in call("list").stdout


@pytest.mark.parametrize(
    "words", [["list"], ["list", "--json"], ["show", "last"], ["presets"], ["frontier"], ["--help"]]
)
def test_reading_never_imports_what_trains_or_draws(words, store):
    recorded.finished(store)
    script = (
        "import sys; from workbench.cli import main\n"
        "try: code = main(sys.argv[1:])\n"
        "except SystemExit as end: code = end.code\n"
        "heavy = {'torch', 'torchvision', 'onnx', 'onnxruntime', 'sklearn', 'textual'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        env=os.environ | {"PQD_WORKBENCH_STORE": str(store.folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_a_reader_that_has_had_enough_is_no_error(store):
    for number in range(3):
        recorded.finished(store, f"run {number}")
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run([*COMMAND, "list", "--store", store.folder], stdout=pipe, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_is_one_sentence(store):
    recorded.finished(store)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "list", "--store", store.folder], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 6
    assert done.stderr == "pqd-workbench: the system refused: No space left on device.\n"


def test_output_that_the_locale_cannot_spell_does_not_break(store):
    recorded.finished(store, "größe")
    assert "gr" in call("show", "last", "--store", store.folder, PYTHONIOENCODING="ascii").stdout


def test_every_error_has_an_exit_code_that_the_help_explains():
    for name in dir(errors):
        kind = getattr(errors, name)
        if isinstance(kind, type) and issubclass(kind, errors.PipelineError):
            assert exit_codes.code_of(kind("x")) in exit_codes.MEANINGS
    assert exit_codes.code_of(errors.CorruptRun("x")) == exit_codes.TROUBLE
    assert exit_codes.code_of(errors.UnknownPlugin("x")) == exit_codes.USAGE
