"""Stacks that differ from the usual one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from knative.local import processes
from knative.local.processes import Process
from knative.local.stack import Stack
from tests.ports import free_range


def with_flags(home: Path, *flags: str) -> Stack:
    """One whose API server has more flags; it is up."""
    usual = processes.table

    def flagged(*arguments: Any, **more: Any) -> list[Process]:
        return [
            replace(each, command=[*each.command, *flags]) if each.name == "apiserver" else each
            for each in usual(*arguments, **more)
        ]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "table", flagged)
        found = Stack(home, free_range())
        found.up()
    return found
