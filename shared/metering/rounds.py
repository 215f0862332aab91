"""What a collector knows from one round to the next. Lost with its process, it costs at most what is said below."""

from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Self

from cloudevents.http import CloudEvent

from events.readings import Subject
from shared.manifests import items, mapping
from shared.metering.measured import Measured
from shared.metering.owners import Object, moment

UNSENT = 500
OVER = ("Succeeded", "Failed")


class Rounds:
    """Forgotten: the end of what went between the last round of one process and the first of the next, that is, what
    its memory and storage come to between its last reading and its end; and events that no Broker had taken."""

    def __init__(self) -> None:
        self.slow: set[str] = set()
        """Nodes that did not answer last time: they wait for each other, and nobody for them."""
        self.unsent: deque[CloudEvent] = deque(maxlen=UNSENT)
        self._present: dict[str, Subject] = {}
        """By uid, less what tells one life from another."""

    @classmethod
    async def open(cls) -> Self:
        return cls()

    async def close(self) -> None:
        pass

    def seen(self, subjects: Iterable[Subject]) -> None:
        self._present |= {stem(each.uid): each for each in subjects if not each.ended and each.kind != "node"}

    def ended(self, there: Mapping[str, Object | None], read: set[str], now: datetime) -> Measured:
        """Whoever was there in an earlier round and is not any more. A pod that ended by itself says when."""
        found = Measured()
        for uid, subject in list(self._present.items()):
            thing = there.get(uid.partition("/")[0])
            over = end_of(thing) if thing is not None else None
            if over is None and (thing is not None or subject.uid in read):
                continue
            del self._present[uid]
            at = max(subject.seen_last, over or now)
            found.subjects.append(subject.model_copy(update={"ended": True, "seen_last": at}))
        return found


def stem(uid: str) -> str:
    """`pod/network/since` and `pod/container/since` without the last."""
    return "/".join(uid.split("/")[:2])


def end_of(pod: Object) -> datetime | None:
    status = mapping(pod.get("status"))
    if status.get("phase") not in OVER:
        return None
    ends = [_finished(each) for each in items(status.get("containerStatuses"))]
    return max((each for each in ends if each), default=None)


def _finished(container: dict[str, Any]) -> datetime | None:
    return moment(mapping(mapping(container.get("state")).get("terminated")).get("finishedAt"))
