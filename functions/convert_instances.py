"""Show an instance in another version of its API, for the API server, which asks whenever it needs one."""

import asyncio
from typing import Any, Self

from shared.cluster import Cluster
from shared.conversion import Edition, convert
from shared.errors import Refused
from shared.lifetime import opened
from shared.resources import CUSTOM_RESOURCE_DEFINITIONS
from shared.review import Asked, review
from shared.versions import EDITION, editions

KEPT = 256


class Known:
    """What each CRD says of its versions. Its edition stands in the path, so what is known by it never goes stale."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._editions: dict[tuple[str, str], dict[str, Edition]] = {}

    @classmethod
    async def open(cls) -> Self:
        return cls(await opened(Cluster))

    async def close(self) -> None:
        """The cluster is closed by itself."""

    async def of(self, crd: str, edition: str) -> dict[str, Edition]:
        """While a CRD changes, the newest there is."""
        if (crd, edition) in self._editions:
            return self._editions[crd, edition]
        found = await self._cluster.get(CUSTOM_RESOURCE_DEFINITIONS, crd)
        if found is None:
            raise Refused("NotFound", f"there is no CRD {crd}")
        known = editions(found)
        if (found["metadata"].get("annotations") or {}).get(EDITION) == edition:
            while len(self._editions) >= KEPT:
                del self._editions[next(iter(self._editions))]
            self._editions[crd, edition] = known
        return known


def convert_all(objects: list[dict[str, Any]], desired: str, known: dict[str, Edition]) -> list[dict[str, Any]]:
    """Raises Refused on a version that the CRD doesn't have."""
    wanted = desired.rpartition("/")[2]
    versions = [each["apiVersion"].rpartition("/")[2] for each in objects]
    if strangers := {wanted, *versions} - set(known):
        raise Refused("UnknownVersion", f"there is no version {', '.join(sorted(strangers))}")
    return [
        each if version == wanted else convert(each, known[version], known[wanted])
        for each, version in zip(objects, versions, strict=True)
    ]


async def convert_instances(asked: Asked, known: Known) -> list[dict[str, Any]]:
    found = await known.of(asked.crd, asked.edition)
    return await asyncio.to_thread(convert_all, asked.objects, asked.desired, found)


main = review(convert_instances, Known)
