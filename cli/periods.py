"""From when until when a report goes. Hours of UTC, as usage is kept. Pure."""

import re
from datetime import UTC, datetime
from typing import Annotated, NamedTuple

import typer

from shared.errors import Refused
from shared.metering.times import full_hour, month_of, ms_of, next_hour, next_month, time_of

Month = Annotated[str | None, typer.Option(help="A month: 2026-11 (UTC).", show_default=False)]
From = Annotated[
    str | None, typer.Option("--from", help="2026-11-01 or 2026-11-01T08:00Z; default: this month.", show_default=False)
]
To = Annotated[str | None, typer.Option("--to", help="Until before then; default: now.", show_default=False)]


class Span(NamedTuple):
    start: datetime
    end: datetime

    def is_over(self, now: datetime) -> bool:
        return self.end <= now

    @property
    def month(self) -> str | None:
        """If it is one."""
        start = ms_of(self.start)
        whole = month_of(start) == start and next_month(start + 1) == ms_of(self.end)
        return f"{self.start:%Y-%m}" if whole else None

    def __str__(self) -> str:
        return self.month or f"{self.start:%FT%TZ} to {self.end:%FT%TZ}"


def month(said: str) -> Span:
    if not re.fullmatch(r"(19|2[0-9])[0-9]{2}-(0[1-9]|1[0-2])", said):
        raise Refused("InvalidPeriod", f"--month: {said[:40]!r} is no month; write it as 2026-11")
    start = datetime(int(said[:4]), int(said[5:]), 1, tzinfo=UTC)
    return Span(start, time_of(next_month(ms_of(start) + 1)))


def moment(said: str, option: str) -> datetime:
    try:
        found = datetime.fromisoformat(said)
        at = found if found.tzinfo else found.replace(tzinfo=UTC)
        full_hour(at, option)
        return at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        why = f"{option}: {said[:40]!r} is no time; write it as 2026-11-01 or 2026-11-01T08:00Z"
        raise Refused("InvalidPeriod", why) from error


def span(said_month: str | None, start: str | None, end: str | None, now: datetime) -> Span:
    if said_month and (start or end):
        raise Refused("InvalidPeriod", "--month says it all; leave --from and --to out, or --month")
    if said_month:
        return month(said_month)
    until = moment(end, "--to") if end else time_of(next_hour(ms_of(now)))
    since = moment(start, "--from") if start else time_of(month_of(ms_of(until) - 1))
    if since >= until:
        raise Refused("InvalidPeriod", f"--to: {until:%FT%TZ} is not after {since:%FT%TZ}; swap them")
    return Span(since, until)
