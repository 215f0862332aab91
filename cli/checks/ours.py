"""Whether Chandlery is installed, and as this command knows it."""

import asyncio
from typing import Any

from cli.checks.finding import Finding, missing, ok
from shared.cluster import Cluster, Object
from shared.crds import consumer_crd, offering_crd, provider_crd
from shared.reports import covers
from shared.resources import CUSTOM_RESOURCE_DEFINITIONS

SUBJECT = "kinds"


async def look(cluster: Cluster) -> list[Finding]:
    wanted = [offering_crd(), consumer_crd(), provider_crd()]
    found = await asyncio.gather(
        *[cluster.get(CUSTOM_RESOURCE_DEFINITIONS, each["metadata"]["name"]) for each in wanted]
    )
    return [judged(each, there) for each, there in zip(wanted, found, strict=True)]


def judged(wanted: dict[str, Any], found: Object | None) -> Finding:
    name = wanted["metadata"]["name"]
    if found is None:
        return missing(SUBJECT, f"{name} is not there: Chandlery is not installed", "chandlery install")
    conditions = {each["type"]: each for each in found.get("status", {}).get("conditions") or ()}
    if conditions.get("Established", {}).get("status") != "True":
        why = next(
            (each["message"] for each in conditions.values() if each["status"] == "False"), "it is not served yet"
        )
        return missing(SUBJECT, f"{name} is not served: {why}", f"kubectl describe crd {name}")
    if not same(wanted["spec"]["versions"], found["spec"]["versions"]):
        return missing(SUBJECT, f"{name} is not the one that this version has", "chandlery upgrade")
    return ok(SUBJECT, f"{name} is served, and current")


def same(wanted: list[Any], found: list[Any]) -> bool:
    """The API server adds defaults of its own."""
    if len(wanted) != len(found):
        return False
    return all(within(one, other) for one, other in zip(wanted, found, strict=True))


def within(wanted: Any, found: Any) -> bool:
    """Whether all that is wanted is there, in lists as well; and no property that is not wanted."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        properties, there = wanted.get("properties"), found.get("properties")
        if isinstance(properties, dict) and isinstance(there, dict) and set(properties) != set(there):
            return False
        return all(key in found and within(value, found[key]) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(within, wanted, found))
    return covers(found, wanted)
