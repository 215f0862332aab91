"""What is printed, and what is not."""

import json
from datetime import UTC, datetime

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cli.output import Format, age, document, lasting, plain


@given(st.text())
def test_a_terminal_is_told_nothing_but_text(text: str) -> None:
    shown = plain(text)
    assert len(shown) == len(text)
    assert all(char.isprintable() or char in "\n\t" for char in shown)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        *((-5, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (150, "2m30s"), (3600, "60m"), (7259, "120m")),
        *((10860, "3h1m"), (28800, "8h"), (172799, "47h"), (172800, "2d"), (180000, "2d2h"), (90 * 86400, "90d")),
    ],
)
def test_an_age_has_two_units_at_most(seconds: int, said: str) -> None:
    assert lasting(seconds) == said


def test_an_age_that_is_no_time_is_none() -> None:
    now = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    assert [age(each, now) for each in ("2026-01-01T00:00:00Z", "soon", "", None)] == ["60s", "", "", ""]


@pytest.mark.parametrize("how", [Format.JSON, Format.YAML])
def test_programs_read_what_was_found(how: Format) -> None:
    found = [{"name": "orders", "revision": 1, "plan": None, "text": "a: b\n\x1b[1m"}]
    read = json.loads if how == Format.JSON else yaml.safe_load
    assert read(document(found, how)) == found
