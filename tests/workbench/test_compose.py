"""Compose: what a person types becomes a recipe; errors stand in words; presets make the round trip."""

import json
from pathlib import Path

import pytest
from textual.widgets import OptionList

from pipeline import presets, recipe
from pipeline.errors import RecipeError
from pipeline.runs import process, queue
from tests.workbench import fakes
from tests.workbench.conftest import screen_text, until
from tests.workbench.test_estimates import here, past
from workbench.estimates import Estimator
from workbench.modals.choose import ChooseModal
from workbench.modals.launch import LaunchModal
from workbench.screens.compose import ComposeScreen
from workbench.widgets.draft import Draft
from workbench.widgets.outline import Outline


async def open_compose(app, pilot, dataset="digits") -> ComposeScreen:
    await pilot.press("2")
    await until(pilot, lambda: isinstance(app.screen, ComposeScreen) and app.screen.query("#field-name"))
    draft = app.screen.draft
    draft.take_dataset(dataset)
    while draft.stages:
        draft.remove(0)
    await app.screen.show_all(0)
    return app.screen


def draft_of(source) -> Draft:
    return Draft.of(source.to_toml(), folder=Path.cwd())


async def add(app, pilot, name):
    await pilot.press("a")
    await until(pilot, lambda: isinstance(app.screen, ChooseModal))
    names = [choice.name for choice in app.screen._choices]
    for _ in range(names.index(name)):
        await pilot.press("down")
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, ComposeScreen))
    await until(pilot, lambda: app.screen.part.name == name)


async def type_into(app, pilot, field, text):
    app.screen.query_one(f"#field-{field}").focus()
    await until(pilot, lambda: app.screen.focused.id == f"field-{field}")
    app.screen.focused.value = ""
    await pilot.press(*text)


async def test_what_is_typed_becomes_the_recipe(app):
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_compose(app, pilot)
        await pilot.press("enter")
        await type_into(app, pilot, "name", "mine")
        await type_into(app, pilot, "seed", "7")
        await pilot.press("escape")
        await until(pilot, lambda: screen.query_one(Outline).has_focus)
        await add(app, pilot, "prune")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query("#field-sparsity"))
        await type_into(app, pilot, "sparsity", "0.8")
        await pilot.press("escape")
        await add(app, pilot, "quantize")
        found = screen.draft.recipe()
        assert (found.name, found.seed, found.letters) == ("mine", 7, "PQ")
        assert found.stages[0].sparsity == 0.8
        assert found.dataset.name == "digits"


async def test_the_name_of_every_option_is_shown_whole_and_apart_from_its_value(app):
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_compose(app, pilot)
        for stage in ("prune", "quantize", "distill"):
            await add(app, pilot, stage)
        for index, part in enumerate(screen.draft.parts):
            await screen.show_all(index)
            await until(pilot, lambda: all(label.size.width for label in screen.query("Form .name")))
            shown = [(str(label.content), label.size.width) for label in screen.query("Form .name")]
            assert {option.name for option in part.options} <= {name for name, _ in shown}
            assert not [(name, width) for name, width in shown if len(name) >= width]


async def test_letters_typed_into_a_field_are_text_not_commands(app):
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_compose(app, pilot)
        await pilot.press("enter")
        await type_into(app, pilot, "name", "q1 axpwL?")
        assert app.screen is screen
        assert screen.draft.recipe().name == "q1 axpwL?"


async def test_stages_move_by_key_and_are_removed(app):
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_compose(app, pilot)
        for name in ("prune", "quantize", "distill"):
            await add(app, pilot, name)
        await pilot.press("K")
        await until(pilot, lambda: screen.draft.recipe().letters == "PDQ")
        await pilot.press("shift+up")
        await until(pilot, lambda: screen.draft.recipe().letters == "DPQ")
        await pilot.press("J")
        await until(pilot, lambda: screen.draft.recipe().letters == "PDQ")
        assert screen.part.name == "distill"
        await pilot.press("x")
        await until(pilot, lambda: screen.draft.recipe().letters == "PQ")


def test_settings_of_one_stage_alone_survive_the_form():
    training = {"schedule": "multi-step", "milestones": [0.5, 0.9], "weight_decay": 0.0}
    document = {
        "name": "n",
        "backbone": "tiny",
        "dataset": "digits",
        "baseline": {"epochs": 1, "training": {"keep": "best"}},
        "stages": [{"stage": "prune", "training": training}, {"stage": "quantize"}],
    }
    source = recipe.parse(document, folder=Path.cwd())
    assert draft_of(source).recipe() == source


async def test_a_second_quantize_is_refused_in_words(app):
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await open_compose(app, pilot)
        await add(app, pilot, "quantize")
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, ChooseModal))
        await pilot.press("end")
        await until(pilot, lambda: "only one" in screen_text(app))
        await pilot.press("enter", "escape")
        assert screen.draft.recipe().letters == "Q"


@pytest.mark.parametrize("text", ["xyz", "1.5", "-1", ""])
async def test_a_bad_value_is_answered_under_its_field_and_stops_the_launch(app, text):
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await open_compose(app, pilot)
        await add(app, pilot, "prune")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query("#field-sparsity"))
        await type_into(app, pilot, "sparsity", text)
        await until(pilot, lambda: "must be a" in screen_text(app) and "sparsity is" in screen_text(app))
        await pilot.press("escape", "L")
        await until(pilot, lambda: "Not launched" in screen_text(app))
        assert app.screen is screen
        assert screen.focused.id == "field-sparsity"
        await type_into(app, pilot, "sparsity", "0.3")
        await until(pilot, lambda: screen.query_one("#problem-sparsity").display is False)


async def test_the_help_of_the_field_with_the_focus_is_shown(app):
    async with app.run_test(size=(140, 40)) as pilot:
        await open_compose(app, pilot)
        await add(app, pilot, "prune")
        await pilot.press("enter")
        await until(pilot, lambda: "share of the prunable weights that become zero" in screen_text(app))


async def test_a_preset_is_loaded_and_saved_and_read_back_equal(app, saved):
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, ChooseModal))
        names = [choice.name for choice in app.screen._choices]
        assert "smoke" in names
        app.screen.query_one("OptionList").highlighted = names.index("smoke")
        await until(pilot, lambda: 'backbone = "tiny"' in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ComposeScreen))
        await until(pilot, lambda: "preset smoke" in screen_text(app))
        shipped = recipe.load(presets.find("smoke"))
        assert app.screen.draft.recipe() == shipped
        await pilot.press("w")
        await until(pilot, lambda: "save as a preset" in screen_text(app))
        await pilot.press("2", "enter")
        await until(pilot, lambda: (saved / "2.toml").exists() or (saved / "smoke2.toml").exists())
    (written,) = saved.glob("*.toml")
    assert recipe.load(written) == shipped


def test_every_preset_survives_the_form():
    for path in presets.presets().values():
        source = recipe.load(path)
        assert draft_of(source).recipe() == source
        assert Draft.of(path.read_text(), folder=path.parent).recipe() == source


def test_the_dry_run_tells_what_is_reused(store):
    ours = fakes.recipe_of("pq", "PQ")
    from pipeline.keys import stage_keys

    for key in stage_keys(ours)[:2]:
        folder = store.stages_folder / key
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps({}))
    plan = Estimator(store).plan(ours, [])
    assert [entry.is_reused for entry in plan.entries] == [True, True, False]
    assert plan.epochs == 4
    assert plan.is_ready


async def test_an_absent_dataset_stops_the_launch_or_is_downloaded(app, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_compose(app, pilot, "cifar10")
        assert screen.draft.recipe().dataset.absent()
        await pilot.press("L")
        await until(pilot, lambda: isinstance(app.screen, LaunchModal) and app.screen.plan is not None)
        assert not app.screen.plan.is_ready
        await pilot.press("y")
        await pilot.pause()
        assert isinstance(app.screen, LaunchModal)
        await pilot.press("d")
        await until(pilot, lambda: app.screen.plan.will_download)
        assert app.screen.plan.is_ready
        assert "downloaded first" in screen_text(app)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
    assert store.runs() == []


@pytest.mark.parametrize(("key", "place"), [("y", None), ("q", 1)])
async def test_launch_shows_the_plan_then_starts_a_process_or_queues_it(app, store, monkeypatch, key, place):
    # A process that ends at once; training is not what this is about.
    monkeypatch.setattr(process.sys, "executable", "/bin/echo")
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_compose(app, pilot)
        await add(app, pilot, "prune")
        await pilot.press("L")
        await until(pilot, lambda: isinstance(app.screen, LaunchModal) and app.screen.plan is not None)
        await until(pilot, lambda: "0 reused, 2 to train: 26 epochs" in screen_text(app))
        await pilot.press(key)
        await until(pilot, lambda: app.current_mode == "live")
        (run,) = store.runs()
        assert app.shelf.selected == run.id
        assert run.recipe() == screen.draft.recipe()
        assert queue.place(run) == place
        await until(pilot, lambda: "work" in run.log_path.read_text())


async def test_the_plan_says_what_it_takes_and_warns_before_the_launch(app, store, cpuinfo):
    cpuinfo.write_text("flags\t\t: avx2\n")
    past(store, fakes.recipe_of("r", "Q"))
    wanted = fakes.recipe_of("new", "Q", seed=9).document() | {"measure": {"threads": 2}}
    with fakes.running(store, fakes.recipe_of("busy", "P"), [here(fakes.recipe_of("busy", "P"))]):
        async with app.run_test(size=(140, 40)) as pilot:
            await until(pilot, lambda: len(app.shelf.rows or ()) == 2)
            app.push_screen(LaunchModal(recipe.parse(wanted, folder=Path.cwd()), Estimator(store)))
            await until(pilot, lambda: isinstance(app.screen, LaunchModal) and app.screen.plan is not None)
            plan = app.screen.plan
            shown = str(app.screen.query_one("#words").content).splitlines()
            assert shown == [
                "0 reused, 2 to train: 8 epochs, device cpu.",
                "Then measured with onnxruntime, 2 threads.",
                "In all about 2 min (from 1 run).",
                f"Disk: {plan.disk_words()}.",
                "! busy goes on here; two at once slow each other; better queue it.",
                "! quantize needs reduce_range = true: INT8 products overflow here (avx2).",
            ]
            assert "5.7 MiB of" in shown[3]
            await until(pilot, lambda: "quantize  4 epochs  train  about 40 s" in screen_text(app))


async def test_a_plan_of_which_nothing_is_known_says_so_and_counts_one_thread(app, store):
    async with app.run_test(size=(140, 40)) as pilot:
        app.push_screen(LaunchModal(fakes.recipe_of("new", "P"), Estimator(store)))
        await until(pilot, lambda: "Time unknown, nothing like it has run here." in screen_text(app))
        assert "Then measured with onnxruntime, 1 thread." in screen_text(app)


async def choose(app, pilot, field, wanted):
    """Pick a value of a field in its list, by keys alone."""
    while app.screen.focused.id != f"field-{field}":
        await pilot.press("tab")
    select = app.screen.focused
    await pilot.press("enter")
    await until(pilot, lambda: select.expanded and isinstance(app.screen.focused, OptionList))
    values = [value for _, value in select._options]
    places = values.index(wanted) - values.index(select.value)
    await pilot.press(*["down" if places > 0 else "up"] * abs(places), "enter")


async def test_a_backbone_and_a_dataset_are_picked_by_keys(app):
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_compose(app, pilot)
        await pilot.press("enter")
        await choose(app, pilot, "backbone", "vgg16_bn")
        await until(pilot, lambda: screen.draft.recipe().backbone == "vgg16_bn")
        assert "32x32" in str(screen.query_one("#about-backbone").content)
        await pilot.press("escape", "down", "enter")
        await until(pilot, lambda: screen.focused.id == "field-dataset")
        await choose(app, pilot, "dataset", "cifar10")
        await until(pilot, lambda: screen.query("#field-download"))
        assert screen.draft.recipe().dataset.name == "cifar10"
        await until(pilot, lambda: screen.focused.id == "field-dataset")


@pytest.mark.parametrize("name", ["", "../up", ".hidden", "two words", "a/b", "x" * 101])
def test_a_preset_cannot_be_called_what_no_file_should_be_called(saved, name):
    with pytest.raises(RecipeError, match="cannot name a preset"):
        presets.save(fakes.recipe_of("pq", "PQ").to_toml(), name, saved, folder=saved)
    assert not saved.exists()


def test_a_dataset_from_outside_is_taken_over_with_its_options_and_not_imported():
    table = '{ name = "no_such_package:Mine", path = "/x", level = 2, share = 0.5, flip = true, names = ["a", "b"] }'
    text = f'name = "n"\nbackbone = "tiny"\ndataset = {table}'
    found = recipe.loads(text, source="x", folder=Path.cwd())
    assert draft_of(found).recipe() == found
