"""What each parameter reaches: the chart is rendered with another value, and compared.

Where there are many parameters they are first changed eight at a time: of what a chart declares most is switched off,
and eight that together change nothing are done with in one rendering. What seems to do nothing is tried once more with
the switch beside it on (`ingress.hosts` with `ingress.enabled`).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from shared.differences import Unstable, changes
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
        """What changes with this spec; raises HelmFailed or Refused."""
        text = await self.render(spec)
        found = await asyncio.to_thread(changes, base or self.base, text, self.apart)
        return [" ".join(change) for change in found]

    async def all(self, parameters: Sequence[Leaf]) -> dict[str, Reached]:
        single = list(parameters)
        if len(single) > FEW:
            single = [leaf for group in groups(parameters) for leaf in await self.left_of(group)]
        for leaf in single:
            self.found[leaf.shown] = await self.of(leaf, self.spec)
        await self.switched([leaf for leaf in parameters if self.found[leaf.shown] == Reached()], parameters)
        return self.found

    async def left_of(self, group: Sequence[Leaf]) -> Sequence[Leaf]:
        """Those of a group that must be looked at one by one."""
        if self.out_of_time:
            return group
        spec = self.spec
        for leaf in group:
            values = others(leaf.schema, leaf.current)
            if not values:
                return group
            spec = merge(spec, nest(leaf.name, values[0]))
        try:
            if await self.differing(spec):
                return group
        except (HelmFailed, Refused):
            return group
        self.found |= {leaf.shown: Reached() for leaf in group}
        return ()

    async def of(self, leaf: Leaf, spec: Values, base: str | None = None, when: str | None = None) -> Reached:
        """The first of a few other values that changes anything counts."""
        if leaf.secret:
            return Reached(not_tried="it names a Secret, which is read when an instance is installed")
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
            if switch is None or self.out_of_time:
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


def switch_of(leaf: Leaf, parameters: Sequence[Leaf]) -> Leaf | None:
    """The nearest boolean around it that is off and that consumers can set."""
    off = {
        each.path: each
        for each in parameters
        if each.schema.get("type") == "boolean" and not each.current and each.path[-1] in SWITCHES
    }
    for length in range(len(leaf.path) - 1, 0, -1):
        for name in SWITCHES:
            switch = off.get((*leaf.path[:length], name))
            if switch and switch is not leaf:
                return switch
    return None


def shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
