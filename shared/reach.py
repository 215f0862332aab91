"""What each parameter reaches: the chart is rendered with another value, and compared.

Where there are many parameters they are first changed eight at a time: of what a chart declares most is switched off,
and eight that together change nothing are done with in one rendering. What seems to do nothing is tried once more with
the switch beside it on (`ingress.hosts` with `ingress.enabled`).
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from shared.differences import Unstable, changes, unstable
from shared.errors import Refused
from shared.helm import HelmFailed
from shared.leaves import Leaf
from shared.offering import Values
from shared.values import merge, nest
from shared.vary import others

GROUP = 8
FEW = 12
OUT_OF_TIME = "the time for this ran out"
SWITCHES = ("enabled", "create", "install", "enable")

Render = Callable[[Values], Awaitable[str]]
"""The manifests for a spec; raises HelmFailed."""


@dataclass(frozen=True)
class Reached:
    """`changes` empty and no `not_tried`: it changes nothing."""

    changes: tuple[str, ...] = ()
    when: str | None = None
    not_tried: str | None = None
    fixed: str | None = None
    """Where the provider has fixed it."""


@dataclass
class Search:
    """One chart's parameters, until the time runs out."""

    render: Render
    base: str
    spec: Values
    apart: Unstable
    deadline: float
    found: dict[str, Reached] = field(default_factory=dict)

    @property
    def out_of_time(self) -> bool:
        return time.monotonic() >= self.deadline

    async def differing(self, spec: Values, base: str | None = None) -> list[str]:
        """What changes with this spec; raises HelmFailed or Refused.

        A field that is never the same (a generated password) is reached by what makes it the same.
        """
        text = await self.render(spec)
        found = await asyncio.to_thread(changes, base or self.base, text, self.apart)
        if not found and self.apart.fields and not self.out_of_time:
            still = await asyncio.to_thread(unstable, text, await self.render(spec))
            found = sorted(self.apart.fields - still.fields)
        return [" ".join(change) for change in found]

    async def all(self, parameters: Sequence[Leaf]) -> dict[str, Reached]:
        """By the names of the parameters."""
        if len(parameters) > FEW:
            for group in groups([leaf for leaf in parameters if not switches(leaf) and not leaf.fixed]):
                await self.rule_out(group)
        for leaf in parameters:
            if leaf.shown not in self.found:
                self.found[leaf.shown] = await self.of(leaf, self.spec)
        await self.switched([leaf for leaf in parameters if self.found[leaf.shown] == Reached()], parameters)
        return self.found

    async def rule_out(self, group: Sequence[Leaf]) -> None:
        """A group that changes nothing together is done with; any other is looked at one by one."""
        if self.out_of_time:
            return
        spec = self.spec
        for leaf in group:
            for value in others(leaf.schema, leaf.current)[:1]:
                spec = merge(spec, nest(leaf.name, value))
        with contextlib.suppress(HelmFailed, Refused):
            if not await self.differing(spec):
                self.found |= {leaf.shown: Reached() for leaf in group}

    async def of(self, leaf: Leaf, spec: Values, base: str | None = None, when: str | None = None) -> Reached:
        """The first of a few other values that changes anything counts."""
        if leaf.secret:
            return Reached(not_tried="it names a Secret, which is read when an instance is installed")
        if leaf.fixed:
            return Reached(fixed=leaf.fixed)
        values = others(leaf.schema, leaf.current)
        if not values:
            return Reached(not_tried="it can have no other value")
        failed: list[str] = []
        for value in values:
            if self.out_of_time:
                return Reached(not_tried=OUT_OF_TIME)
            try:
                found = await self.differing(merge(spec, nest(leaf.name, value)), base)
            except (HelmFailed, Refused) as error:
                failed.append(f"{shown(value)}: {error}")
                continue
            if found:
                return Reached(tuple(found), when)
        if self.out_of_time:
            return Reached(not_tried=OUT_OF_TIME)
        if len(failed) == len(values):
            return Reached(not_tried=f"it does not render with {failed[0]}"[:500])
        return Reached()

    async def switched(self, idle: Sequence[Leaf], parameters: Sequence[Leaf]) -> None:
        """Once more with the nearest switch on, where consumers have one."""
        bases: dict[str, str | None] = {}
        for leaf in idle:
            switch = switch_of(leaf, parameters)
            if switch is None:
                continue
            if self.out_of_time:
                self.found[leaf.shown] = Reached(not_tried=f"with {switch.shown} off it does nothing; {OUT_OF_TIME}")
                continue
            spec = merge(self.spec, nest(switch.name, True))
            if switch.shown not in bases:
                bases[switch.shown] = await self.rendered(spec)
            base = bases[switch.shown]
            if base is None:
                continue
            found = await self.of(leaf, spec, base, f"{switch.shown} is true")
            if found.changes:
                self.found[leaf.shown] = found

    async def rendered(self, spec: Values) -> str | None:
        try:
            return await self.render(spec)
        except HelmFailed:
            return None


def groups(parameters: Sequence[Leaf]) -> Iterable[Sequence[Leaf]]:
    """Neighbours together: they are mostly switched on and off together."""
    return [parameters[start : start + GROUP] for start in range(0, len(parameters), GROUP)]


def switches(leaf: Leaf) -> bool:
    """Something that is off."""
    return leaf.schema.get("type") == "boolean" and not leaf.current and leaf.path[-1] in SWITCHES


def switch_of(leaf: Leaf, parameters: Sequence[Leaf]) -> Leaf | None:
    """The nearest boolean around it that is off and that consumers can set."""
    off = {each.path: each for each in parameters if switches(each)}
    for length in range(len(leaf.path) - 1, 0, -1):
        for name in SWITCHES:
            switch = off.get((*leaf.path[:length], name))
            if switch and switch is not leaf:
                return switch
    return None


def shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
