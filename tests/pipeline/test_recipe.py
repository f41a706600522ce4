from pathlib import Path

import pytest

from pipeline import presets, recipe
from pipeline.errors import RecipeError

whole = """
name = "pqd"
backbone = "resnet20"
dataset = { name = "npz", path = "data/x.npz" }
seed = 3

[baseline]
checkpoint = "w.th"

[training]
batch_size = 64

[[stages]]
stage = "prune"
sparsity = 0.8
epochs = 2

[[stages]]
stage = "quantize"
epochs = 3

[[stages]]
stage = "distill"
temperature = 2.0
epochs = 3

[measure]
threads = 2
"""


def read(text: str, *overrides: str) -> recipe.Recipe:
    return recipe.loads(text, source="x.toml", folder=Path("/home/me"), overrides=overrides)


def test_a_recipe_is_read_whole_and_in_order():
    found = read(whole)
    assert found.name == "pqd"
    assert found.letters == "PQD"
    assert [stage.name for stage in found.stages] == ["prune", "quantize", "distill"]
    assert found.stages[0].sparsity == 0.8
    assert (found.training.batch_size, found.measure.threads, found.seed) == (64, 2, 3)


def test_the_plan_is_the_baseline_and_each_stage_with_its_epochs():
    plan = [(entry.name, entry.epochs) for entry in read(whole).plan]
    assert plan == [("baseline", None), ("prune", 2), ("quantize", 3), ("distill", 3)]


def test_relative_paths_are_resolved_against_the_recipes_folder():
    found = read(whole)
    assert found.dataset.path == "/home/me/data/x.npz"
    assert found.baseline.checkpoint == "/home/me/w.th"


def test_a_recipe_written_as_toml_reads_back_equal():
    found = read(whole)
    assert read(found.to_toml()) == found


def test_what_a_recipe_leaves_out_has_a_default():
    found = read('name = "n"\nbackbone = "tiny"\ndataset = "digits"')
    assert found.stages == ()
    assert found.baseline.epochs == 30
    assert found.measure.runtimes == ("onnxruntime",)


def test_an_override_replaces_what_the_file_says():
    found = read(whole, "stages[0].sparsity=0.9", "seed=7", "name=other words", "training.batch_size = 32")
    assert (found.stages[0].sparsity, found.seed, found.name, found.training.batch_size) == (0.9, 7, "other words", 32)


def test_a_stage_and_the_baseline_train_with_their_own_settings_else_with_those_of_the_section():
    text = whole.replace("epochs = 2", 'epochs = 2\ntraining = { schedule = "constant", weight_decay = 0 }').replace(
        'checkpoint = "w.th"', "epochs = 4\ntraining = { milestones = [0.6], batch_size = 32 }"
    )
    found = read(text)
    section = found.training
    assert section == recipe.Training(batch_size=64)
    assert found.first(0).last_training == recipe.Training(batch_size=32, milestones=(0.6,))
    assert found.first(1).last_training == recipe.Training(batch_size=64, schedule="constant", weight_decay=0.0)
    assert found.first(2).last_training == section
    assert read(found.to_toml()) == found


def test_a_setting_of_one_stage_can_be_overridden():
    found = read(whole, "stages.1.training.keep=best", "stages.1.training.ema=0.99")
    assert found.first(2).last_training == recipe.Training(batch_size=64, keep="best", ema=0.99)


def test_an_override_gives_an_option_to_a_dataset_that_is_only_named():
    text = 'name = "n"\nbackbone = "tiny"\ndataset = "cifar10"'
    assert read(text, "dataset.download=true").dataset.download


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"resnet20"', '"resnet2"'), r"x\.toml: line 3: backbone: no .* 'resnet2'; did you mean 'resnet20'\?"),
        (('"resnet20"', "20"), r"backbone is 20; it must be one of .*resnet20"),
        (('name = "npz"', 'name = "nzp"'), r"dataset\.name: no dataset is called 'nzp'; did you mean 'npz'\?"),
        (('path = "data/x.npz"', 'pth = "x"'), r"dataset\.pth is not an option here; did you mean 'path'\?"),
        (
            ("sparsity = 0.8", "sparsity = 1.5"),
            r"stages\[0\]\.sparsity is 1.5; it must be a number at least 0 and below 1",
        ),
        (
            ("sparsity = 0.8", "sparcity = 0.8"),
            r"stages\[0\]\.sparcity is not an option here; did you mean 'sparsity'\?",
        ),
        (('"distill"', '"distil"'), r"stages\[2\]\.stage: no stage is called 'distil'; did you mean 'distill'\?"),
        (('stage = "distill"\ntemperature = 2.0', 'stage = "quantize"'), r"stages\[2\] is a second 'quantize'"),
        (('checkpoint = "w.th"', 'checkpoint = "w.th"\nepochs = 3'), "baseline has both of epochs and checkpoint"),
        (('checkpoint = "w.th"', ""), "baseline has neither of epochs and checkpoint"),
        (("[training]", "[trainning]"), "trainning is not part of a recipe; did you mean 'training'"),
        (
            ("epochs = 2", 'epochs = 2\ntraining = { schedule = "linear" }'),
            r"stages\[0\]\.training\.schedule is 'linear'; it must be one of cosine, constant, multi-step, one-cycle\.",
        ),
        (
            ("epochs = 2", "epochs = 2\ntraining = { shedule = 1 }"),
            r"stages\[0\]\.training\.shedule is not an option here; did you mean 'schedule'\?",
        ),
        (
            ("epochs = 2", "epochs = 2\ntraining = 3"),
            r"stages\[0\]\.training is 3; it must be a table of options\.",
        ),
        (
            ('checkpoint = "w.th"', "epochs = 1\ntraining = { validation = 0.2 }"),
            r"baseline\.training\.validation cannot differ between stages; set it in \[training\]\.",
        ),
        (
            ("batch_size = 64", "milestones = [0.5, 1.0]"),
            r"training\.milestones is \[0\.5, 1\.0\]; it must be a list of numbers above 0 and below 1\.",
        ),
        (("seed = 3", "seed = -1"), "seed is -1; it must be a whole number at least 0"),
        (('name = "pqd"', 'name = ""'), "name is ''; it must be a text on one line"),
        (('name = "pqd"', ""), "name is missing"),
        (("threads = 2", 'runtimes = ["tensorrt"]'), r"measure\.runtimes\[0\]: no runtime is called 'tensorrt'"),
        (("threads = 2", "runtimes = []"), r"measure\.runtimes is empty"),
        (("[measure]", "[measure"), r"x\.toml: not valid TOML: .*line 27"),
    ],
)
def test_a_wrong_recipe_is_refused_with_the_place_and_what_is_allowed(change, message):
    with pytest.raises(RecipeError, match=message):
        read(whole.replace(*change))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sparsity", "not of the form key.path=value"),
        ("stages.5.sparsity=0.5", "the list holds 3, counted from 0"),
        ("name.x=1", "goes into something that is no table"),
    ],
)
def test_a_wrong_override_is_refused(override, message):
    with pytest.raises(RecipeError, match=message):
        read(whole, override)


def test_a_backbone_from_outside_is_accepted_without_being_imported():
    assert read(whole.replace('"resnet20"', '"no_such_package.nets:build"')).backbone == "no_such_package.nets:build"


def test_an_unreadable_file_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(RecipeError, match="cannot be read: No such file or directory"):
        recipe.load(tmp_path / "absent.toml")


@pytest.mark.parametrize("name", presets.presets())
def test_every_shipped_preset_is_a_legal_recipe(name):
    found = recipe.load(presets.find(name))
    assert found.name
    assert read(found.to_toml()) == found


def test_an_unknown_preset_is_answered_with_the_nearest():
    with pytest.raises(RecipeError, match="did you mean 'smoke'"):
        presets.find("smok")


def test_a_saved_preset_hides_a_shipped_one(tmp_path):
    mine = tmp_path / "smoke.toml"
    mine.write_text("name = 'mine'")
    assert presets.find("smoke", tmp_path) == mine
