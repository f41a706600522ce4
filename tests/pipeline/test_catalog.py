import sys

import pytest

from pipeline import catalog
from pipeline.errors import BrokenPlugin, MissingDependency, UnknownPlugin
from pipeline.options import options_of

kinds = list(catalog.single)


@pytest.mark.parametrize("kind", kinds)
def test_every_plugin_has_a_summary_that_is_read_without_importing_it(kind):
    for name in catalog.names(kind):
        assert 10 < len(catalog.describe(kind, name)) < 120


def test_the_catalogue_holds_what_the_project_promises():
    assert {"prune", "quantize", "distill"} <= set(catalog.names("stages"))
    assert {"resnet20", "resnet18", "vgg16_bn", "wrn_28_10", "tiny"} <= set(catalog.names("backbones"))
    assert {"digits", "cifar10", "cifar100", "npz", "folder"} <= set(catalog.names("datasets"))
    assert {"onnx", "checkpoint"} <= set(catalog.names("exports"))
    assert {"onnxruntime"} <= set(catalog.names("runtimes"))


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownPlugin, match="no stage is called 'prunee'; did you mean 'prune'"):
        catalog.load("stages", "prunee")


@pytest.mark.parametrize("kind", ["stages", "datasets"])
def test_every_option_has_a_help_and_a_legal_default(kind):
    for name in catalog.names(kind):
        record = catalog.load(kind, name)
        assert record.__name__.lower() == name
        for option in options_of(record):
            assert option.help, f"{name}.{option.name}"
            if not option.required:
                option.check(option.default)


@pytest.fixture
def outside(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("my_nets", None)


def test_a_backbone_from_outside_is_found_by_its_path(outside):
    (outside / "my_nets.py").write_text("class Zoo:\n    @staticmethod\n    def build(**_): return 'a network'\n")
    assert catalog.load("backbones", "my_nets:Zoo.build")() == "a network"


def test_a_plugin_that_fails_to_import_is_named_with_the_reason(outside):
    (outside / "my_nets.py").write_text("1 / 0\n")
    with pytest.raises(BrokenPlugin, match="'my_nets:build' cannot be imported: ZeroDivisionError"):
        catalog.load("backbones", "my_nets:build")


def test_a_missing_package_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setattr(catalog.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingDependency, match="needs onnxruntime: install with 'uv pip install onnxruntime'"):
        catalog.load("runtimes", "onnxruntime")


plugins = """
'''A network from elsewhere.'''

from pipeline.protocols import Dataset, Stage

MIN_IMAGE_SIDE: int = 12
REQUIRES = ("no_such_package",)


class Cinic(Dataset, frozen=True, kw_only=True):
    pass


class Freeze(Stage, frozen=True, kw_only=True):
    pass


def build(*, num_classes, in_channels):
    return "a network"
"""

entry_points = """
[pqd_workbench.backbones]
elsewhere = demo_plugins.nets:build
tiny = demo_plugins.nets:build

[pqd_workbench.datasets]
cinic = demo_plugins.nets
misnamed = demo_plugins.nets

[pqd_workbench.stages]
freeze = demo_plugins.nets:Freeze

[pqd_workbench.exports]
demo = demo_plugins.nets

[pqd_workbench.runtimes]
demo = demo_plugins.nets
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A distribution as an installer leaves it: a package, and a folder of metadata beside it."""
    (tmp_path / "demo_plugins").mkdir()
    (tmp_path / "demo_plugins" / "__init__.py").write_text("raise SystemExit('imported')\n")
    (tmp_path / "demo_plugins" / "nets.py").write_text(plugins)
    (tmp_path / "demo-1.0.dist-info").mkdir()
    (tmp_path / "demo-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n")
    (tmp_path / "demo-1.0.dist-info" / "entry_points.txt").write_text(entry_points)
    monkeypatch.syspath_prepend(str(tmp_path))
    caches = (catalog._installed, catalog.describe, catalog.constant, catalog._tree)
    for cache in caches:
        cache.cache_clear()
    yield tmp_path
    for cache in caches:
        cache.cache_clear()
    for name in ("demo_plugins", "demo_plugins.nets"):
        sys.modules.pop(name, None)


def allow_import(installed):
    (installed / "demo_plugins" / "__init__.py").write_text("")


def test_installed_plugins_are_listed_and_described_without_being_imported(installed):
    assert "elsewhere" in catalog.names("backbones")
    assert {"cinic", "misnamed"} <= set(catalog.names("datasets"))
    assert all("demo" in catalog.names(kind) for kind in ("exports", "runtimes"))
    assert "freeze" in catalog.names("stages")
    assert catalog.describe("backbones", "elsewhere") == "A network from elsewhere"
    assert catalog.constant("backbones", "elsewhere", "MIN_IMAGE_SIDE") == 12
    assert catalog.missing("runtimes", "demo") == ["no_such_package"]
    assert "demo_plugins" not in sys.modules


def test_installed_plugins_are_loaded_by_their_names(installed):
    allow_import(installed)
    source = installed / "demo_plugins" / "nets.py"
    source.write_text(source.read_text().replace('("no_such_package",)', "()"))
    assert catalog.load("backbones", "elsewhere")(num_classes=2, in_channels=1) == "a network"
    assert catalog.load("datasets", "cinic").__name__ == "Cinic"
    assert catalog.load("stages", "freeze").__name__ == "Freeze"
    assert catalog.load("exports", "demo").build is catalog.load("backbones", "elsewhere")
    with pytest.raises(BrokenPlugin, match="the dataset 'misnamed' is a class Cinic; the two names must be alike"):
        catalog.load("datasets", "misnamed")


def test_a_file_of_ours_hides_an_installed_plugin_of_the_same_name(installed):
    assert catalog.names("backbones").count("tiny") == 1
    assert catalog.load("backbones", "tiny").__name__ == "pipeline.backbones.tiny"


def test_the_file_of_a_plugin_is_found_without_importing_it(installed):
    assert catalog.source("backbones", "elsewhere") == installed / "demo_plugins" / "nets.py"
    assert catalog.source("backbones", "demo_plugins:build") == installed / "demo_plugins" / "__init__.py"
    assert catalog.source("backbones", "no_such_package.nets:build") is None
    assert catalog.source("backbones", "tiny") == catalog.home / "backbones" / "tiny.py"
    assert "demo_plugins" not in sys.modules


def test_the_text_of_an_installed_backbone_is_part_of_the_keys_of_its_results(installed):
    from pipeline import keys, recipe

    text = 'name = "n"\nbackbone = "elsewhere"\ndataset = "digits"'
    found = recipe.loads(text, source="x", folder=installed)
    before = keys.stage_keys(found)
    assert keys.stage_keys(found) == before
    source = installed / "demo_plugins" / "nets.py"
    source.write_text(source.read_text() + "\n# another text\n")
    assert keys.stage_keys(found) != before


def test_a_class_from_outside_that_is_no_dataset_is_refused(outside):
    (outside / "my_nets.py").write_text("class Other: pass\n")
    with pytest.raises(BrokenPlugin, match=r"Other is no subclass of pipeline\.protocols\.Dataset"):
        catalog.load("datasets", "my_nets:Other")
