"""Versions and ranges, as Helm reads them: the real one is asked."""

import asyncio
import json
import os
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import semver
from tests.shared.archives import archive
from tests.shared.web import says, site

ORDERED = ["v0.1", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1"]
ORDERED += ["1", "1.2.3", "v1.10", "2.0.0+build"]


def test_versions_are_ordered_as_semver_says() -> None:
    reversed_order = ORDERED[::-1]
    assert sorted(reversed_order, key=lambda version: semver.order(version) or (0, 0, 0, ())) == ORDERED


@pytest.mark.parametrize("version", ["one", "", "1.2.3.4", "1.2.3 ", "1.2.3-", "9" * 200])
def test_nonsense_is_no_version(version: str) -> None:
    assert semver.order(version) is None


@given(st.text(alphabet="0123.xX*v^~<>=!-|, +ab", max_size=40))
def test_any_text_is_a_range_or_is_none(text: str) -> None:
    wanted = semver.range_of(text)
    assert wanted is None or semver.newest(PUBLISHED, wanted) in [None, *PUBLISHED]


PUBLISHED = ["0.0.0", "0.0.3", "0.0.4", "0.1.0", "0.2.3", "0.2.9", "0.3.0", "1.0.0", "1.2.0", "1.2.3", "1.2.9"]
PUBLISHED += ["1.3.0-rc.1", "1.3.0", "1.10.0", "2.0.0-alpha.1", "2.0.0-beta.2", "2.0.0-beta.11", "2.0.0", "2.1.0"]
PUBLISHED += ["3.0.0-rc.1"]

RANGES = (
    """
* | x | 1 | 1.2 | v1.2 | 1.x | 1.2.x | ^1 | ^1.2 | ^1.2.3 | ^0 | ^0.0 | ^0.2 | ^0.2.3 | ^0.0.3 | ^1-0 | ^2.0.0-0
~1 | ~1.2 | ~1.2.3 | ~>1.2 | ~1.3.0-0 | >1 | >1.2 | >1.2.3 | >=1.2 | >= 1.2 | <2 | <2-0 | <=2 | <=1.2 | =1.2 | !=2
!=2.1 | > 1, != 2.1.0 | >=1 <2 | >=1,<2 | 1.2 - 1.9 | 1.2.0 - 1.2.5 | >0.0.0-0 | >=1.0.0-0 <2.0.0 | <2.0.0-beta.5
<=2.0.0-beta.2 | =2.0.0-beta.2 | ^5 | garbage | 1..2 | >= | 1.2.3.4
""".strip()
    .replace("\n", " | ")
    .split(" | ")
)
EITHER = ["<1 || >=2", "^1.2 || ^0.2", "1.2.3||2.1.0", "||", "^1 ||"]


@pytest.fixture(scope="session")
async def helm_takes(
    tools: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Callable[[str], Awaitable[str | None]]]:
    """Which of the published versions the real Helm takes for a range."""
    home = {"HOME": str(tmp_path_factory.mktemp("helm")), "PATH": os.environ["PATH"]}

    async def takes(text: str) -> str | None:
        command = [tools["helm"], "show", "chart", "hello", "--repo", repository.url, "--version", text]
        process = await asyncio.create_subprocess_exec(*command, env=home, stdout=PIPE, stderr=DEVNULL)
        out, _ = await process.communicate()
        return out.decode().partition("\nversion: ")[2].strip() or None

    entries = [{"apiVersion": "v2", "name": "hello", "version": each, "urls": [each]} for each in PUBLISHED]
    async with site(index__yaml=says(json.dumps({"apiVersion": "v1", "entries": {"hello": entries}}))) as repository:
        for each in PUBLISHED:
            made = archive({"hello/Chart.yaml": f"apiVersion: v2\nname: hello\nversion: {each}\n"})
            repository.routes[f"/{each}"] = says(made)
        yield takes


@pytest.mark.parametrize("text", [*RANGES, *EITHER])
async def test_a_range_means_what_it_means_to_helm(
    text: str, helm_takes: Callable[[str], Awaitable[str | None]]
) -> None:
    wanted = semver.range_of(text)
    assert (semver.newest(PUBLISHED, wanted) if wanted else None) == await helm_takes(text)
