"""Readings and subjects as they come together, and events of a size that a Broker takes. Pure but for being filled."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from events.base import event_id
from events.readings import LARGEST, Kind, Reading, Subject
from events.usage import UsageMeasured

MOST_BYTES = 900_000
AROUND = 2_000
"""What is in an event besides readings and subjects."""


@dataclass
class Measured:
    """What makes no sense is left out and counted as odd."""

    readings: list[Reading] = field(default_factory=list)
    subjects: list[Subject] = field(default_factory=list)
    odd: int = 0

    def read(self, subject: str, kind: Kind, metric: str, at: datetime | None, value: object, **more: Any) -> None:
        """Nothing for a value that isn't there; the time is when the sample was taken."""
        if value is None:
            return
        number = whole(value) if not more else value
        if at is None or number is None:
            self.odd += 1
            return
        try:
            self.readings.append(Reading(subject=subject, kind=kind, metric=metric, at=at, value=number, **more))
        except ValidationError:
            self.odd += 1

    def tell(self, **fields: Any) -> None:
        try:
            self.subjects.append(Subject(**fields))
        except ValidationError:
            self.odd += 1

    def last(self, subject: str) -> datetime | None:
        return max((each.at for each in self.readings if each.subject == subject), default=None)

    def add(self, other: "Measured") -> None:
        self.readings += other.readings
        self.subjects += other.subjects
        self.odd += other.odd


def whole(value: object) -> int | None:
    """A number from outside, if it is one that can be counted."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not 0 <= value <= LARGEST:  # NaN compares to nothing
        return None
    return int(value)


def events(origin: str, found: Measured, most: int = MOST_BYTES) -> Iterator[tuple[str, UsageMeasured]]:
    """With their ids: the same samples are the same event, whoever read them at whatever tick."""
    readings: list[Reading] = []
    subjects: list[Subject] = []
    size = AROUND
    for part, bytes_ in _sized(found):
        if size + bytes_ > most and (readings or subjects):
            yield _event(origin, readings, subjects)
            readings, subjects, size = [], [], AROUND
        size += bytes_
        if isinstance(part, Reading):
            readings.append(part)
        else:
            subjects.append(part)
    if readings or subjects:
        yield _event(origin, readings, subjects)


def _sized(found: Measured) -> Iterator[tuple[Reading | Subject, int]]:
    """Subjects come first: whose a reading is should be known before it."""
    parts: list[Reading | Subject] = [*found.subjects, *found.readings]
    for part in parts:
        yield part, len(json.dumps(part.model_dump(mode="json"))) + 2


def _event(origin: str, readings: list[Reading], subjects: list[Subject]) -> tuple[str, UsageMeasured]:
    digest = hashlib.sha256(origin.encode())
    for each in readings:
        digest.update(f"\n{each.subject} {each.metric} {each.at.isoformat()} {each.value}".encode())
    for who in subjects:
        digest.update(f"\n{who.model_dump_json()}".encode())
    return event_id(UsageMeasured.type, digest.hexdigest()), UsageMeasured(
        origin=origin, readings=readings, subjects=subjects
    )
