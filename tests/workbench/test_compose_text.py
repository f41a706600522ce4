"""Compose's text, presets, undo and memory: form and TOML are two views of one document, and nothing is lost."""

import contextlib
from pathlib import Path

import pytest

from pipeline import catalog, presets, recipe
from tests.workbench import fakes
from tests.workbench.conftest import screen_text, until, workbench
from tests.workbench.test_compose import add, open_compose, type_into
from workbench import editor
from workbench.modals.choose import ChooseModal
from workbench.modals.confirm import ConfirmModal
from workbench.modals.presets import PresetsModal
from workbench.screens.compose import ComposeScreen
from workbench.widgets.draft import Draft
from workbench.widgets.outline import Outline
from workbench.widgets.recipe_text import RecipeText
from workbench.widgets.verdict import why

MINE = """\
# mine
name = "mine" # called so
backbone = "tiny"
dataset = "digits"

# the start
[baseline]
epochs = 2

# zeros
[[stages]]
stage = "prune" # first
sparsity = 0.5 # half

# rounds
[[stages]]
stage = "quantize"
"""


async def open_mine(app, pilot, saved, text=MINE) -> ComposeScreen:
    """Compose with a preset of one's own."""
    saved.mkdir(exist_ok=True)
    (saved / "mine.toml").write_text(text)
    await pilot.press("2")
    await until(pilot, lambda: isinstance(app.screen, ComposeScreen) and app.screen.query("#field-name"))
    app.screen.sheets.load(app.screen.draft, "mine")
    await app.screen.show_all(0)
    return app.screen


async def open_text(app, pilot):
    await pilot.press("t")
    await until(pilot, lambda: app.screen.query(RecipeText) and app.focused is app.screen.query_one("TextArea"))
    return app.screen.query_one("TextArea")


async def test_presets_of_ones_own_stand_first_and_are_told_apart_and_broken_ones_say_where(app, saved):
    saved.mkdir()
    (saved / "aaa.toml").write_text(MINE.replace("sparsity", "sparsty"))
    (saved / "smoke.toml").write_text(MINE)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_compose(app, pilot)
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, PresetsModal) and "! aaa, your own" in screen_text(app))
        about = str(app.screen.query_one("#about").content)
        assert f"{saved / 'aaa.toml'}: line 13: stages[0].sparsty" in about
        assert "did you mean 'sparsity'?" in about
        assert [choice.name for choice in app.screen._choices][:2] == ["aaa", "smoke"]
        await pilot.press("down")
        await until(pilot, lambda: "# mine" in screen_text(app))
        await pilot.press("end", "up")
        await until(pilot, lambda: "Comes with the" in screen_text(app))


async def test_a_broken_preset_is_opened_as_text_at_its_line_and_mended_there(app, saved):
    saved.mkdir()
    (saved / "aaa.toml").write_text(MINE.replace("sparsity", "sparsty"))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_compose(app, pilot)
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, PresetsModal))
        await pilot.press("enter")
        await until(pilot, lambda: screen.query("TextArea") and screen.focused is screen.query_one("TextArea"))
        area = screen.query_one("TextArea")
        assert "did you mean" in str(screen.query_one("#text-problem").content)
        assert area.cursor_location == (12, 0)
        await pilot.press("right", "right", "right", "right", "right", "i")
        await until(pilot, lambda: screen.sheets.pending is None)
        assert screen.draft.recipe().letters == "PQ"


async def test_a_preset_of_ones_own_is_deleted_after_asking_and_a_shipped_one_never(app, saved):
    saved.mkdir()
    (saved / "mine.toml").write_text(MINE)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await open_compose(app, pilot)
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, PresetsModal))
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, ConfirmModal))
        await pilot.press("n")
        assert (saved / "mine.toml").exists()
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, ConfirmModal))
        await pilot.press("y")
        await until(pilot, lambda: not (saved / "mine.toml").exists() and isinstance(app.screen, PresetsModal))
        await until(pilot, lambda: "mine, your own" not in screen_text(app))
        await pilot.press("x")
        await until(pilot, lambda: "cannot be deleted" in screen_text(app))


async def test_a_preset_that_is_changed_in_the_form_is_saved_with_its_comments(app, saved):
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await open_mine(app, pilot, saved)
        await pilot.press("down", "down", "down", "enter")
        await until(pilot, lambda: screen.query("#field-sparsity"))
        await type_into(app, pilot, "sparsity", "0.75")
        await pilot.press("escape", "J")
        await until(pilot, lambda: screen.draft.recipe().letters == "QP")
        assert "preset mine *" in screen_text(app)
        await pilot.press("w", "enter")
        await until(pilot, lambda: "Saved as" in screen_text(app))
        await until(pilot, lambda: "preset mine *" not in screen_text(app))
    start, stages = MINE[: MINE.index("# zeros")], MINE[MINE.index("# zeros") :].split("\n\n")
    expected = f"{start}{stages[1].strip()}\n\n{stages[0].replace('0.5', '0.75')}\n"
    assert (saved / "mine.toml").read_text() == expected


async def test_form_and_text_are_two_views_of_one_recipe(app, saved):
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_mine(app, pilot, saved)
        area = await open_text(app, pilot)
        assert area.text == MINE
        area.move_cursor((1, 12))
        await pilot.press("x")
        await until(pilot, lambda: screen.draft.recipe().name == "minex")
        await pilot.press("escape")
        await until(pilot, lambda: screen.query_one(Outline).has_focus)
        await until(pilot, lambda: screen.query_one("#field-name").value == "minex")
        await pilot.press("u")
        await until(pilot, lambda: screen.query_one("#field-name").value == "mine")
        assert screen.draft.text == MINE


async def test_a_text_that_is_no_recipe_is_kept_and_stops_the_launch(app, saved):
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await open_mine(app, pilot, saved)
        area = await open_text(app, pilot)
        broken = MINE.replace("0.5", "5")
        area.replace(broken, (0, 0), area.document.end)
        await until(pilot, lambda: "line 13: stages[0].sparsity is 5" in screen_text(app))
        assert screen.draft.text == MINE
        await pilot.press("escape")
        await until(pilot, lambda: screen.query_one(Outline).has_focus)
        await until(pilot, lambda: "a text with an error is kept" in screen_text(app))
        await pilot.press("L")
        await until(pilot, lambda: screen.query("TextArea") and app.focused is screen.query_one("TextArea"))
        assert screen.query_one("TextArea").text == broken
        assert screen.query_one("TextArea").cursor_location == (12, 0)
        await pilot.press("f3")
        await until(pilot, lambda: screen.query_one("TextArea").text == MINE and screen.sheets.pending is None)


async def test_every_change_is_taken_back_and_done_again(app, saved):
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await open_mine(app, pilot, saved)
        texts = [screen.draft.text]

        async def step(*keys):
            await pilot.press(*keys)
            await until(pilot, lambda: screen.draft.text != texts[-1])
            texts.append(screen.draft.text)

        await pilot.press("down", "down", "down")
        await step("d")
        await step("J")
        await step("x")
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, ChooseModal))
        await step("enter")
        await pilot.press("up", "up", "up", "up", "enter")
        await until(pilot, lambda: screen.query("#field-dataset"))
        await pilot.press("escape")
        screen.draft.take_dataset("cifar10")
        await screen.show_all()
        texts.append(screen.draft.text)
        for text in reversed(texts[:-1]):
            await pilot.press("u")
            await until(pilot, lambda text=text: screen.draft.text == text)
        for text in texts[1:]:
            await pilot.press("U")
            await until(pilot, lambda text=text: screen.draft.text == text)
        await pilot.press("U")
        await until(pilot, lambda: "nothing to do again" in screen_text(app))


async def test_a_typed_number_is_taken_back_in_one_step_and_so_is_another_preset(app, saved):
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_mine(app, pilot, saved)
        await pilot.press("enter")
        await type_into(app, pilot, "seed", "1234")
        await until(pilot, lambda: screen.draft.recipe().seed == 1234)
        await pilot.press("escape", "u")
        await until(pilot, lambda: screen.draft.text == MINE)
        screen.sheets.load(screen.draft, "smoke")
        await screen.show_all(0)
        await pilot.press("u")
        await until(pilot, lambda: screen.draft.text == MINE and "preset mine" in screen_text(app))


async def test_an_error_of_the_whole_recipe_stands_below_the_field_it_is_about_and_launch_goes_there(app, saved):
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await open_mine(app, pilot, saved)
        await pilot.press("end", "enter")
        await until(pilot, lambda: screen.query("#field-runtimes"))
        await type_into(app, pilot, "runtimes", "onnxruntim")
        await until(pilot, lambda: "did you mean" in str(screen.query_one("#problem-runtimes").content))
        assert str(screen.query_one(Outline).get_option_at_index(6).prompt).startswith("!Measure")
        await pilot.press("escape", "home")
        await until(pilot, lambda: screen.query("#field-name"))
        await pilot.press("L")
        await until(pilot, lambda: app.focused is not None and app.focused.id == "field-runtimes")
        assert "Not launched" in screen_text(app)


async def test_an_error_of_a_whole_part_stands_above_its_fields(app, saved):
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_mine(app, pilot, saved)
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: screen.query("#field-checkpoint"))
        await type_into(app, pilot, "checkpoint", "x.pt")
        await until(pilot, lambda: "has both" in str(screen.query_one("#problem-of-all").content))
        assert "! baseline has both" in screen_text(app)


async def test_what_a_launch_would_cost_stands_below_the_form(app, store, saved, monkeypatch):
    from tests.workbench.test_estimates import past

    ours = recipe.loads(MINE.replace('"mine"', '"before"'), source="x", folder=Path.cwd())
    past(store, ours)
    async with app.run_test(size=(140, 40)) as pilot:
        screen = await open_mine(app, pilot, saved)
        await until(pilot, lambda: "(from 1 run)" in screen_text(app))
        text = screen_text(app)
        assert "epochs on cpu" in text
        assert "GiB free" in text
        assert "digits, here" in text
        assert "why: zeros first, ranges fit what stays" in text
        screen.draft.take_dataset("npz")
        await screen.show_all()
        await until(pilot, lambda: "path is empty" in screen_text(app) or "dataset.path" in screen_text(app))


async def test_absent_images_are_told_in_the_outline_and_below_with_what_to_do(app, saved, tmp_path, monkeypatch):
    async with app.run_test(size=(140, 40)) as pilot:
        await open_mine(app, pilot, saved, MINE.replace('"digits"', '{ name = "npz", path = "none.npz" }'))
        await until(pilot, lambda: "!Dataset" in screen_text(app) and "npz, absent" in screen_text(app))
        await until(pilot, lambda: "! there is no file" in screen_text(app))


async def test_the_draft_is_there_again_in_the_next_session_with_its_star(app, store, saved, tmp_path):
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_mine(app, pilot, saved)
        await pilot.press("enter")
        await type_into(app, pilot, "seed", "12x")
        await pilot.press("escape")
        draft = screen.draft.text
    following = workbench(store, saved, tmp_path)
    following.memory = app.memory
    async with following.run_test(size=(80, 24)) as pilot:
        await pilot.press("2")
        await until(
            pilot, lambda: isinstance(following.screen, ComposeScreen) and following.screen.query("#field-seed")
        )
        await until(pilot, lambda: "preset mine *" in screen_text(following))
        assert following.screen.draft.text == draft
        assert following.screen.query_one("#field-seed").value == "12x"
        text = await open_text(following, pilot)
        text.replace("no recipe = = at all", (0, 0), text.document.end)
        await until(pilot, lambda: following.screen.sheets.pending)
    last = workbench(store, saved, tmp_path)
    last.memory = app.memory
    async with last.run_test(size=(80, 24)) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: "a text with an error is kept" in screen_text(last))
        area = await open_text(last, pilot)
        assert area.text == "no recipe = = at all"


async def test_a_newcomer_is_told_what_to_press(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: "First time? L launches this" in screen_text(app))
        assert "preset quickstart" in screen_text(app)


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
async def test_the_footer_holds_at_most_nine_keys_and_shows_them_whole(app, size):
    async with app.run_test(size=size) as pilot:
        await open_compose(app, pilot)
        await add(app, pilot, "prune")
        await until(pilot, lambda: "L launch" in screen_text(app))
        assert len(app.screen.query_one("Footer").offered()) <= 9
        assert screen_text(app).splitlines()[-1].rstrip().endswith("q quit")
        assert "x remove" in screen_text(app)


async def test_in_a_wide_terminal_the_outline_stands_beside_the_text(app, saved):
    async with app.run_test(size=(140, 40)) as pilot:
        screen = await open_mine(app, pilot, saved)
        await open_text(app, pilot)
        assert screen.query_one(Outline).size.width > 40
        assert screen.query_one("TextArea").size.width > 60
        assert not screen.query_one("Form").display


@contextlib.contextmanager
def lent():
    yield


async def test_the_text_is_edited_in_the_editor_of_ones_choice_and_taken_over(app, saved, tmp_path, monkeypatch):
    script = tmp_path / "my editor"
    script.write_text("#!/bin/sh\nsed -i 's/epochs = 2/epochs = 9/' \"$2\"\n")
    script.chmod(0o755)
    monkeypatch.setenv("VISUAL", f"'{script}' --wait")
    monkeypatch.setattr(app, "suspend", lent)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await open_mine(app, pilot, saved)
        await pilot.press("E")
        await until(pilot, lambda: screen.draft.recipe().baseline.epochs == 9)
        assert "# the start" in screen.draft.text
        script.write_text("#!/bin/sh\necho 'name = 3 # kept' > \"$2\"\n")
        await pilot.press("E")
        await until(pilot, lambda: screen.query("TextArea") and app.focused is screen.query_one("TextArea"))
        assert screen.query_one("TextArea").text == "name = 3 # kept\n"
        assert "name is 3" in str(screen.query_one("#text-problem").content)
        assert screen.draft.recipe().baseline.epochs == 9
        script.write_text("#!/bin/sh\nexit 3\n")
        await pilot.press("f2")
        await until(pilot, lambda: "ended with 3" in screen_text(app))
        assert screen.sheets.pending == "name = 3 # kept\n"


async def test_without_an_editor_or_a_terminal_to_lend_it_is_said_so(app, saved, monkeypatch):
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await open_mine(app, pilot, saved)
        await pilot.press("E")
        await until(pilot, lambda: "no editor is known" in screen_text(app))
        monkeypatch.setenv("EDITOR", "cat")
        await pilot.press("E")
        await until(pilot, lambda: "cannot be lent" in screen_text(app))
        assert screen.draft.text == MINE


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "no editor is known"),
        ({"EDITOR": "no-such-editor --x"}, "no such program"),
        ({"VISUAL": "'open"}, "VISUAL is .* cannot be read"),
    ],
)
def test_an_editor_that_cannot_be_started_is_told_with_its_variable(environment, message):
    with pytest.raises(editor.EditorError, match=message):
        editor.command(environment)


def test_visual_comes_before_editor_and_keeps_its_arguments():
    assert editor.command({"VISUAL": "cat -n 'a b'", "EDITOR": "ls"}) == ["cat", "-n", "a b"]


@pytest.mark.parametrize("order", ["PQD", "QPD", "DPQ", "PQ", "P", ""])
def test_the_reason_of_an_order_fits_into_one_narrow_line(order):
    reason = why([stage.name for stage in fakes.recipe_of("x", order).stages])
    assert len(reason) <= 72
    assert bool(reason) == (len(order) > 1)


async def test_plugins_from_elsewhere_are_offered_and_a_broken_one_is_refused_in_words(app, saved, monkeypatch):
    known = dict(catalog._installed("stages"))
    monkeypatch.setattr(catalog, "_installed", lambda kind: {**known, "alien": "no_such_module:Alien"})
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await open_mine(app, pilot, saved)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, ChooseModal))
        assert app.screen._choices[0].name == "alien"
        assert "cannot be imported" in app.screen._choices[0].refused
        await pilot.press("escape", "down", "enter")
        await until(pilot, lambda: screen.query("#field-dataset"))
        assert screen.draft.recipe().letters == "PQ"


def test_a_draft_that_fields_cannot_show_is_refused_in_one_sentence():
    for text in ("stages = 3", "stages = [{}]", MINE + "\n[nonsense]\n", "a = ["):
        with pytest.raises(Exception, match=r"\.$"):
            Draft.of(text, folder=Path.cwd())
    assert presets.problem(presets.find("smoke")) == ""


async def test_what_is_reused_is_told_beside_its_stage(app, store, saved):
    from pipeline.keys import stage_keys

    ours = recipe.loads(MINE, source="x", folder=Path.cwd())
    for key in stage_keys(ours)[:2]:
        folder = store.stages_folder / key
        folder.mkdir(parents=True)
        (folder / "result.json").write_text("{}")
    async with app.run_test(size=(80, 24)) as pilot:
        await open_mine(app, pilot, saved)
        await until(pilot, lambda: "reused, 2 ep" in screen_text(app))
        assert "1 prune     reused, sparsity" in screen_text(app)
        assert "2 of 3 reused" in screen_text(app)
        assert "40 of 62 epochs left" in screen_text(app)


async def test_the_text_opens_at_the_part_under_the_cursor(app, saved):
    async with app.run_test(size=(140, 40)) as pilot:
        screen = await open_mine(app, pilot, saved)
        await pilot.press("down", "down", "down", "down")
        area = await open_text(app, pilot)
        assert MINE.splitlines()[area.cursor_location[0]] == "[[stages]]"
        assert area.cursor_location[0] > 12
        screen.query_one(Outline).focus()
        await pilot.press("up", "up")
        await until(pilot, lambda: MINE.splitlines()[area.cursor_location[0]] == "[baseline]")


async def test_typing_repaints_nothing_that_stays_the_same(app, saved, monkeypatch):
    from textual.widgets import Static

    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_mine(app, pilot, saved)
        await until(pilot, lambda: screen.plan is not None)
        await pilot.press("enter")
        await type_into(app, pilot, "seed", "1")
        updated, update = [], Static.update

        def noted(self, *given, **further):
            updated.append(self.id)
            update(self, *given, **further)

        monkeypatch.setattr(Static, "update", noted)
        await pilot.press("2")
        await until(pilot, lambda: screen.draft.recipe().seed == 12)
        assert not {name for name in updated if name}
