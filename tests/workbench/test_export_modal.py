import shutil
import time
from pathlib import Path

import pytest
from textual.widgets import Input, OptionList

from tests.pipeline.exports import recorded
from tests.workbench import fakes
from tests.workbench.conftest import screen_text, until
from workbench import clipboard, exporting
from workbench.modals.confirm import ConfirmModal
from workbench.modals.export import ExportModal
from workbench.modals.exporting import ExportingModal
from workbench.modals.folders import FolderModal
from workbench.modals.help import keys

sizes = pytest.mark.parametrize("size", [(80, 24), (140, 40)], ids=["80x24", "140x40"])
ONE, ALL = ("checkpoint", "openvino", "state_dict", "torch"), ("checkpoint", "onnx", "openvino", "state_dict", "torch")


async def opened(app, pilot, runs=1, left_out=ONE) -> ExportModal:
    """Open the dialog over the newest runs, all of them marked if there are several; by default only ONNX is chosen."""
    app.memory.put("export.left_out", list(left_out))
    await until(pilot, lambda: app.shelf.rows and len(app.shelf.rows) == runs)
    app.shelf.marked = set(app.shelf.rows) if runs > 1 else set()
    app.action_export()
    await until(pilot, lambda: isinstance(app.screen, ExportModal) and app.screen._sizes is not None)
    await until(pilot, lambda: "GiB free" in screen_text(app))
    return app.screen


async def ended(app, pilot) -> ExportingModal:
    await until(pilot, lambda: isinstance(app.screen, ExportingModal))
    for _ in range(20):
        if not app.screen.is_busy:
            break
        try:
            await until(pilot, lambda: not app.screen.is_busy)
        except AssertionError:
            continue
    await until(pilot, lambda: "esc close" in screen_text(app))
    return app.screen


@sizes
async def test_the_dialog_shows_runs_formats_sizes_and_where_they_go(app, store, size):
    runs = [recorded.finished(store, name) for name in ("one", "two")]
    async with app.run_test(size=size) as pilot:
        await opened(app, pilot, 2, left_out=["state_dict"])
        await until(pilot, lambda: "checkpoint: the fewest bytes; opens as a torch module" in screen_text(app))
        shown = screen_text(app)
        assert "export 2 runs" in shown
        assert "94.0" in shown
        assert "[x] onnx" in shown
        assert "[ ] state_dict" in shown
        onnx_bytes = sum((run.folder / "artifacts/deployed/model.onnx").stat().st_size for run in runs)
        assert f"{onnx_bytes / 2**20:.4f}" in shown
        assert "about" in shown
        assert f"{runs[1].id}/" in shown
        assert "2 folders" in shown
        assert "checkpoint: the fewest bytes; opens as a torch module, or as numpy" in shown
        assert "esc back" in shown


@sizes
async def test_a_run_is_exported_and_every_file_says_what_it_answered(app, store, tmp_path, size):
    run = recorded.finished(store)
    async with app.run_test(size=size, notifications=True) as pilot:
        await opened(app, pilot)
        await pilot.press("enter")
        modal = await ended(app, pilot)
        await until(pilot, lambda: "opened again: 32 of 32 predictions equal" in screen_text(app))
        folder = tmp_path / "exports" / run.id
        assert modal.written == [folder]
        shown = screen_text(app)
        assert "ok model.onnx" in shown
        checksum = next(line for line in (folder / "SHA256SUMS").read_text().splitlines() if "model.onnx" in line)
        assert f"sha256 {checksum[:12]}" in shown
        assert "1 exported, 0 not" in shown
        await pilot.press("c")
        await until(pilot, lambda: clipboard.path().read_text() == str(folder))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.screen_stack[0])


async def test_choices_are_remembered(app, store, tmp_path):
    recorded.finished(store)
    async with app.run_test(size=(80, 24)) as pilot:
        modal = await opened(app, pilot)
        modal.query_one("#name", Input).value = "{name}-{seed}"
        modal.query_one("#folder", Input).value = str(tmp_path / "there")
        await until(pilot, lambda: "/small-0/" in screen_text(app))
        await pilot.press("e")
        await ended(app, pilot)
        assert (tmp_path / "there" / "small-0" / "model.onnx").exists()
        await pilot.press("enter")
        app.action_export()
        await until(pilot, lambda: "It exists already" in screen_text(app))
        assert app.screen.query_one("#folder", Input).value == str(tmp_path / "there")
        assert app.screen.chosen == {"onnx"}


async def test_what_is_wrong_stands_beside_its_field_and_nothing_is_written(app, store, tmp_path):
    recorded.finished(store)
    (tmp_path / "file").write_text("")
    async with app.run_test(size=(80, 24)) as pilot:
        modal = await opened(app, pilot)
        for field, value, sentence in (
            ("#name", "{nam}", "x the template has no field {nam}; did you mean 'name'?"),
            ("#name", "{id}", "-> "),
            ("#folder", "", "x name a folder."),
            ("#folder", str(tmp_path / "file" / "x"), "is a file; name a folder."),
        ):
            modal.query_one(field, Input).value = value
            await until(pilot, lambda sentence=sentence: sentence in " ".join(screen_text(app).split("│")[1:]))
        await pilot.press("e")
        assert app.screen is modal
        modal.query_one("#folder", Input).value = str(tmp_path)
        await until(pilot, lambda: "-> " in screen_text(app))
        await pilot.press("a", "a", "e")
        await until(pilot, lambda: "Choose at least one format with space." in screen_text(app))
        assert app.screen is modal


async def test_formats_are_chosen_by_keys(app, store):
    recorded.finished(store)
    async with app.run_test(size=(80, 24)) as pilot:
        modal = await opened(app, pilot, left_out=[])
        assert modal.chosen == set(ALL)
        await pilot.press("down", "space")
        assert modal.chosen == set(ALL) - {"onnx"}
        await until(pilot, lambda: "[ ] onnx" in screen_text(app))
        await pilot.press("a")
        assert modal.chosen == set(ALL)


async def test_a_format_that_a_run_cannot_be_exported_to_says_why(app, store):
    recorded.finished(store, "good")
    ours = fakes.recipe_of("no-files", "PQ")
    fakes.add_run(store, ours, fakes.whole(ours))
    async with app.run_test(size=(140, 40)) as pilot:
        await opened(app, pilot, 2)
        assert "1 of 2 runs have no onnx file" in screen_text(app)
        await pilot.press("e")
        modal = await ended(app, pilot)
        assert len(modal.written) == 1
        assert "x  no-files: it has no file" in screen_text(app)
        assert "1 exported, 1 not" in screen_text(app)


async def test_a_missing_package_is_named_with_how_to_install_it(app, store, monkeypatch):
    from pipeline import catalog

    recorded.finished(store)
    monkeypatch.setattr(catalog, "missing", lambda kind, name: ["openvino"] * (name == "openvino"))
    async with app.run_test(size=(140, 40)) as pilot:
        modal = await opened(app, pilot, left_out=[])
        assert "[-] openvino" in screen_text(app)
        assert "needs openvino: uv pip install openvino" in screen_text(app)
        modal.query_one(OptionList).highlighted = 2
        await pilot.press("space")
        assert "openvino" not in modal.chosen


async def test_escape_asks_once_and_a_cancelled_export_leaves_nothing(app, store, tmp_path):
    recorded.finished(store)
    async with app.run_test(size=(80, 24)) as pilot:
        form = await opened(app, pilot, left_out=["onnx", "checkpoint", "openvino", "state_dict"])
        await pilot.press("e")
        await until(pilot, lambda: "writing" in screen_text(app))
        modal = app.screen
        for key in ("escape", "q"):
            await pilot.press(key)
            await until(pilot, lambda: isinstance(app.screen, ConfirmModal))
            await pilot.press("n" if key == "escape" else "y")
        await until(pilot, lambda: not modal.is_busy)
        assert "cancelled, nothing of it stays" in screen_text(app)
        assert list((tmp_path / "exports").iterdir()) == []
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is form)
        await until(pilot, lambda: "[x] torch" in screen_text(app))


async def test_leaving_the_workbench_ends_an_export_and_leaves_nothing(app, store, tmp_path):
    recorded.finished(store)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot, left_out=["onnx", "checkpoint", "openvino", "state_dict"])
        await pilot.press("e")
        await until(pilot, lambda: "writing" in screen_text(app))
        (hidden,) = (tmp_path / "exports").iterdir()
        app.exit()
    deadline_s = time.monotonic() + 20
    while hidden.exists():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    assert list((tmp_path / "exports").iterdir()) == []


async def test_a_failure_is_one_sentence_and_the_choices_can_be_changed(app, store):
    run = recorded.finished(store)
    (run.folder / "artifacts" / "deployed" / "model.onnx").write_bytes(b"broken")
    async with app.run_test(size=(80, 24)) as pilot:
        form = await opened(app, pilot)
        await pilot.press("e")
        modal = await ended(app, pilot)
        assert "is not the file that was measured" in modal.outcomes[0]
        assert "x  small: " in screen_text(app)
        assert "Traceback" not in screen_text(app)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is form)


async def test_a_folder_is_found_in_a_tree_or_made(app, store, tmp_path):
    recorded.finished(store)
    for name in ("[red]x", "other", ".hidden"):
        (tmp_path / "exports" / name).mkdir(parents=True)
    (tmp_path / "exports" / "file").write_text("")
    async with app.run_test(size=(80, 24)) as pilot:
        modal = await opened(app, pilot)
        await pilot.press("f")
        await until(pilot, lambda: isinstance(app.screen, FolderModal) and "+ other" in screen_text(app))
        shown = screen_text(app)
        assert "[red]x" in shown
        assert ".hidden" not in shown
        assert "file" not in shown
        assert "GiB free" in shown
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.screen is modal)
        assert modal.query_one("#folder", Input).value == str(tmp_path / "exports" / "[red]x")
        await pilot.press("f", "n", *"new", "enter")
        await until(pilot, lambda: app.screen is modal)
        assert (tmp_path / "exports" / "[red]x" / "new").is_dir()
        assert modal.query_one("#folder", Input).value.endswith("[red]x/new")
        await pilot.press("f", "n", "escape", "escape")
        await until(pilot, lambda: app.screen is modal)


async def test_every_key_of_the_dialogs_is_in_the_help(app, store):
    recorded.finished(store)
    async with app.run_test(size=(80, 24)) as pilot:
        for screen in (await opened(app, pilot), ExportingModal([], Path("/")), FolderModal(Path("/"))):
            for binding in type(screen).BINDINGS:
                assert binding.id
                assert binding.tooltip
        assert keys(app.screen)


def test_a_typed_folder_is_completed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("exports", "other", ".git"):
        (tmp_path / name / "inner").mkdir(parents=True)
    (tmp_path / "extra.txt").write_text("")
    assert exporting.complete("ex") == "exports/"
    assert exporting.complete("exports/in") == "exports/inner/"
    assert exporting.complete(f"{tmp_path}/o") == f"{tmp_path}/other/"
    for text in ("", "exports/", "nothing", "~nobody-of-that-name/x", "no/such/folder"):
        assert exporting.complete(text) is None


def test_a_folder_is_looked_at_without_being_made(tmp_path):
    (tmp_path / "there" / "mine").mkdir(parents=True)
    found = exporting.look(tmp_path / "there", ["mine", "yours"])
    assert found.taken == ("mine",)
    assert found.free_bytes == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)
    assert not exporting.look(tmp_path / "a" / "b", []).problem
    assert not (tmp_path / "a").exists()


async def test_without_a_run_the_next_key_is_named(app, store):
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: app.shelf.rows == {})
        app.action_export()
        await until(pilot, lambda: "There is no run to export" in screen_text(app))


async def test_only_finished_runs_are_exported_and_the_others_are_told(app, store):
    lost = fakes.recipe_of("lost", "P")
    fakes.add_run(store, lost, [fakes.started(lost)])
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: app.shelf.rows)
        app.action_export()
        await until(pilot, lambda: "lost is not finished" in screen_text(app))
        finished = fakes.recipe_of("[red]x[/ 名前", "PQ")
        fakes.add_run(store, finished, fakes.whole(finished))
        # A run is listed from its first moment on, so wait for its last.
        await until(pilot, lambda: sum(row.is_finished for row in app.shelf.rows.values()) == 1)
        app.shelf.marked = set(app.shelf.rows)
        app.action_export()
        await until(pilot, lambda: isinstance(app.screen, ExportModal) and "[red]x[/ 名前" in screen_text(app))
        assert [row.name for row in app.screen.rows] == ["[red]x[/ 名前"]
        await until(pilot, lambda: "are left out" in screen_text(app))
