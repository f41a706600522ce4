"""Tags, a note and a pin: given to all chosen runs by keys, seen in the table, found by the filter."""

from pipeline.runs.annotations import Annotations
from tests.workbench import fakes
from tests.workbench.conftest import screen_text, until
from tests.workbench.test_runs import add, listed
from workbench.modals.annotate import NoteModal, TagsModal
from workbench.screens.runs import RunsScreen


def tags_of(store) -> dict[str, tuple[str, ...]]:
    return {run.recipe().name: run.annotations().tags for run in store.runs()}


async def test_tags_go_to_all_chosen_runs_and_what_only_some_have_stays(app, store):
    one, two = add(store, "one", "two")
    one.annotate(Annotations(tags=("old", "shared")))
    two.annotate(Annotations(tags=("shared",)))
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(app, pilot, 2)
        await pilot.press("a", "t")
        await until(pilot, lambda: isinstance(app.screen, TagsModal) and "Tags that only some" in screen_text(app))
        assert app.focused.value == "shared "
        await pilot.press(*["backspace"] * 7, *"int8, #paper", "enter")
        await until(pilot, lambda: tags_of(store) == {"one": ("old", "int8", "paper"), "two": ("int8", "paper")})
        await until(pilot, lambda: "#int8 #paper" in screen_text(app))
        await pilot.press("slash", *"tag:old", "enter")
        await until(pilot, lambda: [row.name for row in app.shelf.visible] == ["one"])


async def test_a_tag_is_completed_from_those_of_other_runs_and_an_illegal_one_is_told_at_once(app, store):
    one, two = add(store, "one", "two")
    one.annotate(Annotations(tags=("published",)))
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(app, pilot, 2)
        await until(pilot, lambda: any(row.tags for row in app.shelf.rows.values()))
        app.select(two.id)
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, TagsModal) and "published" in screen_text(app))
        await pilot.press(*"pub")
        await until(pilot, lambda: app.focused._suggestion == "published")
        await pilot.press("right", "space", *"x" * 41)
        await until(pilot, lambda: "cannot be a tag" in screen_text(app))
        await pilot.press("enter")
        assert isinstance(app.screen, TagsModal)
        await pilot.press(*["backspace"] * 41, "enter")
        await until(pilot, lambda: two.annotations().tags == ("published",))


async def test_a_note_has_several_lines_and_its_first_stands_below_the_table(app, store):
    (run,) = add(store, "one")
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(app, pilot, 1)
        await pilot.press("N")
        await until(pilot, lambda: isinstance(app.screen, NoteModal) and app.focused is not None)
        await pilot.press(*"best", "enter", *"[b]so far", "f2")
        await until(pilot, lambda: run.annotations().note == "best\n[b]so far")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "\n best" in screen_text(app))


async def test_a_pinned_run_stands_above_the_others_whatever_the_order_and_keeps_its_tags(app, store):
    one, _, _ = add(store, "one", "two", "three")
    one.annotate(Annotations(tags=("kept",)))
    async with app.run_test(size=(80, 24)) as pilot:
        table = await listed(app, pilot, 3)
        app.select(one.id)
        await pilot.press("P")
        await until(pilot, lambda: "^one" in table.plain_lines()[1])
        assert one.annotations() == Annotations(tags=("kept",), pinned=True)
        await pilot.press("O", "O")
        await until(pilot, lambda: "^one" in table.plain_lines()[1])
        await pilot.press("P")
        await until(pilot, lambda: not one.annotations().pinned)


async def test_a_note_that_cannot_be_kept_is_told_in_a_sentence(app, store):
    (run,) = add(store, "one")
    run.annotations_path.write_text("{")
    fakes.write(run, [])
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await listed(app, pilot, 1)
        await pilot.press("P")
        await until(pilot, lambda: "cannot be read" in screen_text(app))
