"""Stacks that differ from the usual one."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from knative.local import processes
from knative.local.processes import Process
from knative.local.stack import Stack
from tests.ports import free_range

S = TypeVar("S", bound=Stack)


def altered(home: Path, alter: Callable[[Process], Process], kind: type[S]) -> S:
    """One whose processes are not quite the usual ones; it is up."""
    usual = processes.table

    def table(*arguments: Any, **more: Any) -> list[Process]:
        return [alter(each) for each in usual(*arguments, **more)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "table", table)
        found = kind(home, free_range())
        found.up()
    return found


def with_flags(home: Path, *flags: str, kind: type[S]) -> S:
    """Whose API server has more flags."""

    def flagged(each: Process) -> Process:
        return replace(each, command=[*each.command, *flags]) if each.name == "apiserver" else each

    return altered(home, flagged, kind)


def hurry(stack: Stack, seconds: int = 5) -> None:
    """Its resync ticks oftener than every half minute: nobody waits for it, and what it sends again disturbs nobody."""
    spec = {"schedule": f"*/{seconds} * * * * *", "data": json.dumps({"seconds": seconds})}
    patch = json.dumps({"spec": spec})
    stack.kubectl("-n", "chandlery", "patch", "pingsource", "resync", "--type=merge", f"--patch={patch}")
