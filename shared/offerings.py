"""Offerings as a watch last saw them: every step of every instance asks for one, and they seldom change."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Self

from pydantic import ValidationError

from shared.cluster import Cluster, Object
from shared.lifetime import opened
from shared.offering import Offering
from shared.reports import offering_of
from shared.resources import OFFERINGS
from shared.watch import Change, Watch


@dataclass(frozen=True)
class Kept:
    uid: str
    version: int
    offering: Offering = field(compare=False)

    @classmethod
    def of(cls, found: Object) -> Self | None:
        try:
            offering = Offering.model_validate(found)
        except ValidationError:
            return None  # whoever asks for it reads it, and says what is wrong
        return cls(offering.metadata.uid, int(offering.metadata.resource_version), offering)


class Offerings:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._watch = Watch(cluster, OFFERINGS, Kept.of, _nobody, metadata_only=False)
        self._watching = asyncio.create_task(self._watch.run())

    @classmethod
    async def open(cls) -> Self:
        return cls(await opened(Cluster))

    async def close(self) -> None:
        self._watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._watching

    async def get(self, name: str) -> Offering | None:
        """One that is not on offer, as far as is known, is read again: it may be by now.

        A published one that is a moment old does no harm. What changes it takes its publication first, and its
        instances are told when it has that again.
        """
        kept = self._watch.known.get(("", name)) if self._watch.watching else None
        if kept and kept.offering.published and not kept.offering.withdrawn:
            return kept.offering
        return await offering_of(self._cluster, name)


async def _nobody(change: Change[Kept]) -> None:
    """Nobody is told of it."""
