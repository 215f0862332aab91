"""Find out what each parameter of a published API reaches in the chart's manifests, and note it beside the Offering."""

import asyncio
import time
from dataclasses import replace
from typing import Any

from events.apis import ApiPublished
from shared import charts, dossier
from shared.check import Incomplete, Subject, render, rendering
from shared.cluster import Cluster
from shared.differences import unstable
from shared.discovery import served
from shared.errors import Refused, RetryLater
from shared.function import function
from shared.helm import HelmFailed
from shared.leaves import Leaf, leaves_of
from shared.offering import Offering, Values
from shared.orders import fingerprint, generic, plans_of
from shared.reach import OUT_OF_TIME, Reached, Search
from shared.releases import Release
from shared.renderer import Renderer
from shared.reports import offering_of
from shared.resources import CUSTOM_RESOURCE_DEFINITIONS
from shared.store import ChartStore
from shared.values import format_path, merge

MAP = 1
"""Changes when the search does: then what was mapped is mapped again."""
BUDGET = 60.0
"""Seconds for one Offering."""
RENDER_SECONDS = 15.0
TOLD = 60
PLAN = "plan"


def spec_schema(crd: dict[str, Any], version: str, *, plans: bool) -> dict[str, Any]:
    """What consumers can set, as the API server has it; where there are plans, the plan is no parameter."""
    for each in crd["spec"]["versions"]:
        if each["name"] == version:
            spec = each["schema"]["openAPIV3Schema"]["properties"].get("spec", {})
            names = {name: below for name, below in spec.get("properties", {}).items() if name != PLAN or not plans}
            return {**spec, "properties": names}
    return {}


def fixed(offering: Offering) -> dict[str, Values]:
    """What wins over consumers on the default plan."""
    plan = plans_of(offering)[0]
    on_plan = {f"spec.plans[{plan.name}].values": plan.values} if plan else {}
    return on_plan | {"spec.values": offering.spec.values}


def map_key(offering: Offering, schema: dict[str, Any]) -> str:
    """Names all that the outcome depends on."""
    spec = offering.spec.model_dump(mode="json", include={"values", "plans", "parameters", "release"})
    return fingerprint(MAP, offering.status.chart.digest, spec, schema)


def document(parameters: list[Leaf], found: dict[str, Reached], made: Release) -> dict[str, Any]:
    idle = [leaf.shown for leaf in parameters if found[leaf.shown] == Reached()]
    late = [leaf.shown for leaf in parameters if OUT_OF_TIME in (found[leaf.shown].not_tried or "")]
    warnings = [f"{name} changes nothing in what the chart renders by default" for name in idle]
    if late:
        warnings.append(f"{len(late)} of {len(parameters)} parameters were not tried: {OUT_OF_TIME}")
    entries = {leaf.shown: entry(leaf, found[leaf.shown]) for leaf in parameters}
    whole: dict[str, Any] = generic({"warnings": warnings, "parameters": entries}, made)
    return whole


def entry(leaf: Leaf, reached: Reached) -> dict[str, Any]:
    said: dict[str, Any] = {"path": format_path(leaf.path)}
    if reached.not_tried:
        return said | {"notTried": reached.not_tried}
    if reached.fixed:
        return said | {"reaches": "nothing", "fixedBy": reached.fixed}
    if not reached.changes:
        return said | {"reaches": "nothing"}
    left = len(reached.changes) - TOLD
    more = [f"... {left} more"] if left > 0 else []
    when = {"when": reached.when} if reached.when else {}
    return said | when | {"reaches": [*reached.changes[:TOLD], *more]}


async def map_parameters(event: ApiPublished, cluster: Cluster, store: ChartStore, renderer: Renderer) -> None:
    offering = await offering_of(cluster, event.offering)
    if offering is None or offering.withdrawn or offering.metadata.generation != event.generation:
        return
    crd = await cluster.get(CUSTOM_RESOURCE_DEFINITIONS, event.crd)
    if crd is None:
        return
    schema = spec_schema(crd, offering.spec.api.version, plans=bool(offering.spec.plans))
    key = map_key(offering, schema)
    if dossier.stands(await dossier.read(cluster, offering.metadata), dossier.MAPPED, key):
        return
    archive = await store.path(offering.status.chart.digest or "")
    if archive is None:
        raise RetryLater(f"chart {offering.status.chart.digest} is not in the store", after=5)
    chart = await asyncio.to_thread(charts.inspect, archive.read_bytes())
    subject = Subject(offering, chart, archive, await served(cluster), renderer, background=True)
    text = dossier.fitted(await mapped(subject, schema), dossier.PARAMETERS_LIMIT)
    data, annotations = {dossier.PARAMETERS: text}, {dossier.MAPPED: key}
    await dossier.write(cluster, offering.metadata, "map_parameters", data, annotations)


async def mapped(subject: Subject, schema: dict[str, Any]) -> dict[str, Any]:
    deadline = time.monotonic() + BUDGET
    try:
        made = await rendering(subject, plans_of(subject.offering)[0])
        again = await render(subject, made.order)
        apart = await asyncio.to_thread(unstable, made.text, again.text)
    except (HelmFailed, Incomplete, Refused) as error:
        return {"warnings": [f"no parameter was tried: the chart does not render by default: {error}"[:2000]]}
    effective = merge(subject.chart.values, made.release.values)
    parameters = leaves_of(schema, subject.offering.spec.parameters, effective, fixed(subject.offering))

    async def text_for(spec: Values) -> str:
        left = max(1.0, min(RENDER_SECONDS, deadline - time.monotonic()))
        return (await render(subject, replace(made.order, spec=spec), left)).text

    search = Search(text_for, made.text, made.order.spec, apart, deadline)
    return document(parameters, await search.all(parameters), made.release)


main = function(map_parameters, Cluster, ChartStore, Renderer, at_once=1)
