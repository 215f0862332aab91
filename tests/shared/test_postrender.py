"""With the real Helm, which needs no cluster to render."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared import postrender
from shared.errors import Refused, RetryLater
from shared.postrender import EMPTY, PostRenderer, Review
from shared.rerendered import pieces
from tests.archives import CHART, archive, chart

HOOK = """apiVersion: batch/v1
kind: Job
metadata: {name: setup, annotations: {helm.sh/hook: pre-install}}
spec: {template: {spec: {containers: []}}}
"""


@pytest.fixture
async def reviews(tmp_path: Path) -> AsyncIterator[PostRenderer]:
    found = PostRenderer(tmp_path, tmp_path / "plugins")
    await found.start()
    yield found
    await found.close()


async def rendered(
    reviews: PostRenderer, tools: dict[str, str], folder: Path, content: bytes, review: Review
) -> tuple[int, str, Exception | None]:
    file = folder / "chart.tgz"
    await asyncio.to_thread(file.write_bytes, content)
    async with reviews.asked(review) as asked:
        process = await asyncio.create_subprocess_exec(
            *(tools["helm"], "template", "it", str(file), *asked.arguments),
            env={"PATH": os.environ["PATH"], "HELM_PLUGINS": str(folder / "plugins"), **asked.environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
    return process.returncode or 0, out.decode(), asked.error


async def test_objects_and_hooks_are_seen_and_may_be_changed(
    reviews: PostRenderer, tools: dict[str, str], tmp_path: Path
) -> None:
    seen: list[str] = []

    async def review(text: str) -> str:
        seen.extend(each.manifest.shown for each in pieces(text) if each.manifest)
        return text.replace("made", "changed")

    config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: made}\n"
    code, out, error = await rendered(reviews, tools, tmp_path, chart("", config=config, hook=HOOK), review)
    assert (code, error, seen) == (0, None, ["ConfigMap/made", "Job/setup"])
    assert "metadata: {name: changed}" in out
    assert "helm.sh/hook: pre-install" in out


@pytest.mark.parametrize("error", [Refused("No", "because"), RetryLater("not now"), KeyError("a bug")], ids=repr)
async def test_what_the_review_raises_stops_helm_and_is_kept(
    reviews: PostRenderer, tools: dict[str, str], tmp_path: Path, error: Exception
) -> None:
    async def review(text: str) -> str:
        raise error

    assert await rendered(reviews, tools, tmp_path, chart(), review) == (1, "", error)


async def test_a_chart_that_renders_nothing_is_fine(
    reviews: PostRenderer, tools: dict[str, str], tmp_path: Path
) -> None:
    async def review(text: str) -> str:
        return text

    nothing = archive({"Chart.yaml": CHART, "templates/none.yaml": ""})
    code, _, error = await rendered(reviews, tools, tmp_path, nothing, review)
    assert (code, error) == (0, None)


async def test_large_charts_go_through_and_what_is_too_large_does_not(
    reviews: PostRenderer, tools: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def review(text: str) -> str:
        return text

    config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: made}\ndata: {a: '{{ repeat 3000000 `x` }}'}\n"
    code, out, error = await rendered(reviews, tools, tmp_path, chart("", config=config), review)
    assert (code, len(out) > 3_000_000, error) == (0, True, None)
    monkeypatch.setattr(postrender, "LIMIT", 1_000_000)
    code, _, error = await rendered(reviews, tools, tmp_path, chart("", config=config), review)
    assert isinstance(error, Refused)
    assert (code, error.reason) == (1, "TooLarge")


async def test_a_stranger_is_told_nothing(reviews: PostRenderer, tmp_path: Path) -> None:
    assert (tmp_path / "review").stat().st_mode & 0o777 == 0o600
    reader, writer = await asyncio.open_unix_connection(tmp_path / "review")
    writer.write(b"guessed\nkind: Secret\n")
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    assert EMPTY
