"""A run's recipe becomes a draft in Compose: with its comments, its files found, and what stays the same reused."""

from pipeline import events as e
from pipeline.keys import stage_keys
from tests.workbench import fakes
from tests.workbench.conftest import screen_text, until
from tests.workbench.test_runs import listed
from workbench.modals.launch import LaunchModal

RUN = """\
name = "mine" # called so
backbone = "tiny"
dataset = { name = "npz", path = "images.npz" } # ours

[baseline]
checkpoint = "weights/start.pt"

[[stages]]
stage = "prune" # first
"""


def written(store, text):
    """A finished run whose recipe is written so."""
    run = fakes.add_run(store, fakes.recipe_of("mine", "P"), [e.RunFinished()])
    (run.folder / "recipe.toml").write_text(text)
    return run


async def test_the_recipe_of_a_run_is_opened_in_compose_with_its_comments_and_right_paths(app, store):
    run = written(store, RUN)
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(app, pilot, 1)
        await pilot.press("E")
        await until(pilot, lambda: app.current_mode == "compose" and "from run mine" in screen_text(app))
        draft = app.screen.draft
        assert "# called so" in draft.text
        assert "# ours" in draft.text
        assert draft.recipe() == run.recipe()
        assert draft.recipe().baseline.checkpoint == str(run.folder / "weights/start.pt")
        assert not draft.sheet.is_changed
        await pilot.press("u")
        await until(pilot, lambda: "preset quickstart" in screen_text(app))


async def test_a_recipe_that_does_not_fit_this_version_is_opened_as_text(app, store):
    written(store, RUN.replace("checkpoint =", "chekpoint ="))
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(app, pilot, 1)
        await pilot.press("E")
        await until(pilot, lambda: app.screen.query("TextArea") and "did you mean 'checkpoint'" in screen_text(app))


async def test_what_stays_the_same_in_the_recipe_of_a_run_is_reused(app, store):
    ours = fakes.recipe_of("mine", "PQ")
    fakes.add_run(store, ours, fakes.whole(ours))
    for key in stage_keys(ours):
        kept = store.stages_folder / key
        kept.mkdir(parents=True)
        (kept / "result.json").write_text("{}")
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(app, pilot, 1)
        await pilot.press("E")
        await until(pilot, lambda: app.current_mode == "compose" and "from run mine" in screen_text(app))
        await pilot.press("end", "up", "up", "enter")
        await until(pilot, lambda: app.screen.query("#field-weight_bits"))
        app.screen.query_one("#field-weight_bits").focus()
        await pilot.press("5", "escape")
        await until(pilot, lambda: app.screen.draft.recipe().stages[1].weight_bits == 5)
        assert "from run mine *" in screen_text(app)
        await pilot.press("L")
        await until(pilot, lambda: isinstance(app.screen, LaunchModal) and app.screen.plan is not None)
        assert [entry.is_reused for entry in app.screen.plan.entries] == [True, True, False]
