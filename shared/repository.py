"""Helm repositories: an index.yaml that says where each version of each chart is."""

import asyncio
from dataclasses import dataclass
from typing import Any

from yarl import URL

from shared import documents, semver
from shared.errors import Refused

INDEX_LIMIT = 32 * 1024 * 1024
NODES = 1_000_000


@dataclass(frozen=True)
class Entry:
    repository: URL
    name: str
    version: str | None = None
    """Exact, or a range; None is the newest that is no pre-release."""

    @property
    def index(self) -> URL:
        return self.repository / "index.yaml"


async def locate(index: bytes, entry: Entry) -> str:
    """The URL of the chart, as it stands in the index; parsing a big index takes seconds, so not in the event loop."""
    return await asyncio.to_thread(_locate, index, entry)


def _locate(index: bytes, entry: Entry) -> str:
    where = "index.yaml of spec.chart.repository"
    text = documents.pick(index.decode(errors="replace"), ("entries", entry.name), where)
    if text is None:
        raise Refused("ChartNotFound", f"spec.chart.name: the repository has no chart {entry.name}")
    loaded, _ = documents.load(text.encode(), where, NODES)
    return url_of(loaded[0] if loaded else None, entry)


def url_of(versions: Any, entry: Entry) -> str:
    known = [each for each in versions if isinstance(each, dict)] if isinstance(versions, list) else []
    found = choose({documents.plain(each.get("version")): each for each in reversed(known)}, entry)
    urls = found.get("urls")
    if not isinstance(urls, list) or not urls or not isinstance(urls[0], str):
        raise Refused("ChartNotFound", f"spec.chart: the repository names no URL for {entry.name} {found['version']}")
    return urls[0]


def choose(versions: dict[str, dict[str, Any]], entry: Entry) -> dict[str, Any]:
    """What the version says word for word comes first, as with Helm; else the newest that it may mean."""
    if entry.version in versions:
        return versions[entry.version]
    wanted = semver.range_of(entry.version or "*")
    if wanted is None:
        fix = "write 1.2.3, or a range such as ^1.2, ~1.2.3, 1.x or >=1.2 <2"
        raise Refused("InvalidSource", f"spec.chart.version: {entry.version!r} is no version; {fix}")
    found = semver.newest(versions, wanted)
    if found is not None:
        return versions[found]
    if not entry.version:
        fix = f"choose one: {_some(versions)}"
        raise Refused("ChartNotFound", f"spec.chart.version: {entry.name} has only pre-releases; {fix}")
    known = f"{entry.name} has {_some(versions)}"
    raise Refused("ChartNotFound", f"spec.chart.version: there is no version {entry.version}; {known}")


def _some(versions: dict[str, dict[str, Any]]) -> str:
    return ", ".join(list(versions)[-5:][::-1]) or "no versions"
