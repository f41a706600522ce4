"""A recipe's text is changed where it is meant to be, and nowhere else; comments go with what they are about."""

import itertools
import random
from pathlib import Path

import pytest
import tomli

from pipeline import editing, presets, recipe
from pipeline.errors import RecipeError

COMMENTED = """\
# head
name = "a" # what
backbone = "tiny"   # small
dataset = "digits"  # images

# the start
[baseline] # fp32
epochs = 3 # short
# below

# --- on its own ---

# zeros first
# (really)
[[stages]]  # one
stage = "prune"
# half
sparsity = 0.5 # of all
training = { schedule = "multi-step", milestones = [
  0.5, # first
  0.9,
] } # inline

# then round
[[stages]]
stage = "quantize" # int8

# own settings
[stages.training]
keep = "best" # why

# last
[[stages]]
stage = "distill"
# temperature comes next
temperature = 4.0
"""

DOTTED = """\
name = "b"
backbone = "tiny"
dataset.name = "digits" # dotted
baseline.epochs = 3 # dotted, too
training = { batch_size = 32 } # inline
stages = [ { stage = "prune", sparsity = 0.5 }, { stage = "quantize" } ] # in one line
"""

DECEPTIVE = '''\
name = "c"
backbone = "tiny"
dataset = "digits"
[[stages]]
stage = "distill"
teacher_checkpoint = """
[[stages]]
# no header
"""
'''

texts = {"commented": COMMENTED, "dotted": DOTTED, "deceptive": DECEPTIVE} | {
    name: path.read_text() for name, path in presets.presets().items()
}


def comments(text):
    return sorted(line.partition("#")[2].strip() for line in text.splitlines() if "#" in line)


@pytest.mark.parametrize("name", texts)
def test_a_text_of_which_nothing_is_changed_stays_as_it_is_letter_by_letter(name):
    text = texts[name]
    for key, value in tomli.loads(text).items():
        assert editing.put(text, (key,), value) == text


@pytest.mark.parametrize("name", texts)
def test_a_changed_value_keeps_every_comment_and_every_other_line(name):
    text = texts[name]
    for path in (("name",), ("seed",), ("baseline", "epochs"), ("training", "batch_size"), ("measure", "threads")):
        changed = editing.put(text, path, 64)
        assert editing._at(tomli.loads(changed), path) == 64
        assert comments(changed) == comments(text)
        assert len(set(text.splitlines()) - set(changed.splitlines())) <= 1


@pytest.mark.parametrize("name", texts)
def test_options_of_a_stage_are_changed_added_and_removed_with_their_table_in_place(name):
    text = texts[name]
    for place in range(len(tomli.loads(text)["stages"])):
        path = ("stages", place, "epochs")
        changed = editing.put(text, path, 7)
        expected = tomli.loads(text)
        expected["stages"][place]["epochs"] = 7
        assert tomli.loads(changed) == expected
        assert comments(changed) == comments(text)
        del expected["stages"][place]["epochs"]
        assert tomli.loads(editing.put(changed, path, None)) == expected


@pytest.mark.parametrize("name", ["commented", "prune-quantize-distill", "quickstart"])
def test_stages_in_every_order_keep_their_comments(name):
    text = texts[name]
    for place, to in itertools.product(range(3), range(3)):
        moved = editing.move_stage(text, place, to)
        expected = tomli.loads(text)
        expected["stages"].insert(to, expected["stages"].pop(place))
        assert tomli.loads(moved) == expected
        assert comments(moved) == comments(text)
        assert editing.move_stage(moved, to, place) == text


def test_the_comments_of_a_stage_move_with_it():
    moved = editing.move_stage(COMMENTED, 1, 0)
    assert moved.index("# then round\n[[stages]]") < moved.index("# own settings\n[stages.training]")
    assert moved.index('keep = "best" # why') < moved.index("# zeros first\n# (really)\n[[stages]]  # one")
    assert moved.index("# --- on its own ---") < moved.index("# then round")


def test_a_stage_that_is_removed_takes_its_comments_along_and_no_others():
    removed = editing.remove_stage(COMMENTED, 1)
    assert set(comments(COMMENTED)) - set(comments(removed)) == {"then round", "int8", "own settings", "why"}
    for _ in range(2):
        removed = editing.remove_stage(removed, 0)
    assert "stages" not in tomli.loads(removed)
    assert "# --- on its own ---" in removed
    again = editing.add_stage(removed, 0, {"stage": "prune"})
    assert tomli.loads(again)["stages"] == [{"stage": "prune"}]


def test_a_new_stage_stands_where_it_was_asked_for():
    for place in range(4):
        added = editing.add_stage(COMMENTED, place, {"stage": "prune", "epochs": 3})
        assert tomli.loads(added)["stages"][place] == {"stage": "prune", "epochs": 3}
        assert comments(added) == comments(COMMENTED)


def test_a_copied_stage_stands_below_the_first_with_its_comments():
    copied = editing.copy_stage(COMMENTED, 0)
    stages = tomli.loads(copied)["stages"]
    assert stages[0] == stages[1]
    assert copied.count("# zeros first") == 2


def test_stages_in_one_list_become_tables_when_they_move():
    moved = editing.move_stage(DOTTED, 0, 1)
    assert [stage["stage"] for stage in tomli.loads(moved)["stages"]] == ["quantize", "prune"]
    assert "# dotted, too" in moved


def test_a_dataset_gets_options_and_becomes_another_however_it_was_written():
    for text in (COMMENTED, DOTTED, 'name = "d"\n# where\n[dataset] # from\nname = "npz"\npath = "x" # there\n'):
        table = editing.put(text, ("dataset", "size"), 3)
        assert tomli.loads(table)["dataset"]["size"] == 3
        for value in ("digits", {"name": "folder", "path": "y"}):
            changed = editing.put(table, ("dataset",), value)
            assert tomli.loads(changed)["dataset"] == value
    assert "# images" in editing.put(COMMENTED, ("dataset",), {"name": "folder", "path": "y"})


def test_settings_of_one_stage_keep_their_table_and_its_comments():
    changed = editing.put(COMMENTED, ("stages", 1, "training"), {"keep": "last", "ema": 0.9})
    assert 'keep = "last" # why\nema = 0.9\n' in changed
    inline = editing.put(COMMENTED, ("stages", 2, "training"), {"ema": 0.9})
    assert tomli.loads(inline)["stages"][2]["training"] == {"ema": 0.9}


@pytest.mark.parametrize("seed", range(20))
def test_any_row_of_changes_leaves_what_the_same_changes_of_the_decoded_recipe_leave(seed):
    dice = random.Random(seed)
    text = COMMENTED
    expected = tomli.loads(text)
    for _ in range(15):
        stages = expected.setdefault("stages", [])
        at = dice.randrange(len(stages)) if stages else 0
        match dice.choice(("put", "none", "move", "remove", "add") if stages else ("add",)):
            case "put":
                text = editing.put(text, ("stages", at, "epochs"), 5)
                stages[at]["epochs"] = 5
            case "none":
                text = editing.put(text, ("stages", at, "sparsity"), None)
                stages[at].pop("sparsity", None)
            case "move":
                to = dice.randrange(len(stages))
                text = editing.move_stage(text, at, to)
                stages.insert(to, stages.pop(at))
            case "remove":
                text = editing.remove_stage(text, at)
                stages.pop(at)
            case "add":
                text = editing.add_stage(text, at, {"stage": "prune", "sparsity": 0.1})
                stages.insert(at, {"stage": "prune", "sparsity": 0.1})
        assert tomli.loads(text).get("stages", []) == stages
        assert {"head", "what", "fp32", "below", "--- on its own ---"} <= set(comments(text))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("name",), 2),
        (("baseline",), 7),
        (("baseline", "epochs"), 8),
        (("stages", 0), 15),
        (("stages", 0, "sparsity"), 18),
        (("stages", 0, "training", "milestones"), 19),
        (("stages", 1, "training", "keep"), 30),
        (("stages", 2, "alpha"), 33),
        (("measure", "threads"), None),
    ],
)
def test_the_line_of_a_value_is_found(path, line):
    assert editing.line_of(COMMENTED, path) == line


def test_a_header_within_a_text_of_several_lines_is_none():
    assert editing.line_of(DECEPTIVE, ("stages", 1)) is None
    assert len(tomli.loads(editing.copy_stage(DECEPTIVE, 0))["stages"]) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("sparsity = 0.5", "sparsity = 2"), r"mine.toml: line 18: stages\[0\].sparsity is 2; it must be"),
        (("sparsity = 0.5", "sparsty = 2"), r"line 18: stages\[0\].sparsty .* did you mean 'sparsity'"),
        (('"prune"', '"prun"'), r"line 16: stages\[0\].stage: .* did you mean 'prune'"),
        (("epochs = 3", "epochs = "), "not valid TOML: .* line 8"),
        (('"digits"', '"digit"'), "line 4: dataset: .* did you mean 'digits'"),
    ],
)
def test_an_error_names_file_line_key_and_what_was_meant(tmp_path, change, message):
    path = tmp_path / "mine.toml"
    path.write_text(COMMENTED.replace(*change))
    with pytest.raises(RecipeError, match=message):
        recipe.load(path)
    assert str(path) in presets.problem(path)


def test_a_saved_preset_keeps_comments_and_points_at_the_same_files(tmp_path):
    old, new = tmp_path / "work", tmp_path / "config" / "presets"
    old.mkdir()
    text = COMMENTED.replace("epochs = 3 # short", 'checkpoint = "nets/base.pt" # ours').replace(
        '"digits"', '{ name = "no_package:Mine", path = "./x", other = "x" }'
    )
    path = presets.save(text, "mine", new, folder=old)
    assert comments(path.read_text()) == comments(text)
    saved, before = recipe.load(path), recipe.loads(text, source="x", folder=old)
    assert 'checkpoint = "../../work/nets/base.pt" # ours' in path.read_text()
    assert Path(saved.baseline.checkpoint).resolve() == Path(before.baseline.checkpoint).resolve()
    assert Path(saved.dataset.options["path"]).resolve() == old / "x"
    assert saved.dataset.options["other"] == "x"
    assert presets.save(path.read_text(), "mine", new, folder=new).read_text() == path.read_text()


def test_an_own_preset_is_deleted_and_a_missing_one_is_refused(tmp_path):
    presets.save(COMMENTED, "mine", tmp_path, folder=tmp_path)
    presets.delete("mine", tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RecipeError, match="cannot be removed"):
        presets.delete("mine", tmp_path)


ODD = """\
"name" = 'x'
backbone = "tiny"
dataset = { name = "digits" }
training.batch_size = 32
[ "measure" ] # odd
threads=2
[[ stages ]] # spaced
stage = "prune"
training.keep = "best" # dotted
[baseline]
epochs = 1
[[stages]]
  stage = "quantize" # indented
  [ stages . training ]
  keep = "best"
[baseline.training]
keep = "best"
"""


def test_a_text_that_is_laid_out_oddly_gets_the_right_values_all_the_same():
    for path, value in [
        (("name",), "y"),
        (("training", "batch_size"), 64),
        (("training", "momentum"), 0.5),
        (("measure", "threads"), None),
        (("measure", "latency"), "off"),
        (("baseline", "training"), {"keep": "last"}),
        (("baseline", "epochs"), 4),
        (("stages", 0, "training"), {"ema": 0.5}),
        (("stages", 1, "training"), {"ema": 0.5}),
        (("stages", 1, "training"), None),
        (("dataset",), {"name": "npz", "path": "x"}),
    ]:
        expected = tomli.loads(ODD)
        editing._change(expected, path, value)
        assert tomli.loads(editing.put(ODD, path, value)) == expected, path
    moved = tomli.loads(editing.move_stage(ODD, 0, 1))
    assert [stage["stage"] for stage in moved["stages"]] == ["quantize", "prune"]
    assert {key: value for key, value in moved.items() if key != "stages"} == {
        key: value for key, value in tomli.loads(ODD).items() if key != "stages"
    }
