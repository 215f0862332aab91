"""When a tool is built again: when what goes into it changed, and only then."""

import dataclasses
from pathlib import Path

import pytest

from knative.local import tools
from knative.local.golang import wanted
from knative.local.tools import MODULES, NODE_MODULES, Module


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    monkeypatch.setattr(tools, "GO", tmp_path)
    (tmp_path / "thing").mkdir()
    (tmp_path / "thing/go.mod").write_text("module thing\n")
    return Module("thing", {"thing": "."})


def test_the_same_inputs_give_the_same_key(module: Module) -> None:
    assert module.key("go1.26.0") == Module("thing", {"thing": "."}).key("go1.26.0")


def test_a_changed_source_another_go_and_other_flags_give_other_keys(module: Module) -> None:
    keys = {module.key("go1.26.0"), module.key("go1.26.1"), dataclasses.replace(module, ldflags="-s").key("go1.26.0")}
    (module.source / "go.mod").write_text("module thing\n\ngo 1.26\n")
    keys.add(module.key("go1.26.0"))
    assert len(keys) == 4


def test_every_module_is_locked() -> None:
    unlocked = [
        module.name
        for module in (*MODULES, *NODE_MODULES)
        if module.name not in ("router", "load") and not (module.source / "go.sum").exists()
    ]
    assert unlocked == []


def test_go_is_as_new_as_the_most_demanding_module() -> None:
    assert wanted() >= (1, 26)
