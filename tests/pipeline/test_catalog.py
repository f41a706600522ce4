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
