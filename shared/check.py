"""The check before anything is published: the chart is rendered as its consumers would have it, and looked at.

Every problem is told at once, where an Offering's author looks first. What is only worth knowing goes into a ConfigMap.
"""

import asyncio
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path

from shared import chart_rights, templates
from shared.chart_rights import Makes
from shared.charts import Chart
from shared.checks import fixed_names, outgrown, problems, refusal, unplaced, unstated
from shared.clock import templates_with_clock
from shared.differences import told, unstable
from shared.errors import Refused
from shared.helm import HelmFailed
from shared.kinds import Kinds, Served, defined
from shared.manifests import Manifest, parse
from shared.offering import Offering, Plan, Values
from shared.orders import Order, defaulted, demanded, generic, plans_of, release, with_demanded
from shared.preflight import Preflight
from shared.problems import Problem
from shared.releases import Release
from shared.rendered import Findings, findings
from shared.renderer import SECONDS, Renderer
from shared.values import merge

NOTHING = Makes()
TICK = 1.1
"""Seconds after which a template that prints the time prints another one."""


@dataclass(frozen=True)
class Subject:
    """What is checked, and with what."""

    offering: Offering
    chart: Chart
    archive: Path
    served: Served
    renderer: Renderer
    background: bool = False
    preflight: Preflight | None = None
    """What asks the cluster of pod security and capacity; without it, that is left to others."""


@dataclass(frozen=True)
class Checked:
    findings: Findings | None
    """Of the default plan; None when nothing could be rendered without what consumers have to give."""
    unstable: list[str]
    warnings: list[str]
    release: Release | None = None
    """Whose names stand in all of these."""
    makes: Makes = NOTHING


@dataclass(frozen=True)
class Rendering:
    order: Order
    release: Release
    text: str


@dataclass(frozen=True)
class Seen:
    """What came of one plan."""

    problems: list[Problem]
    warnings: list[str]
    made: Rendering | None = None
    findings: Findings | None = None
    makes: Makes = NOTHING


class Incomplete(Exception):
    """Only a consumer's own values could tell whether it renders."""


async def check(subject: Subject) -> Checked:
    """Raises Refused with all that is wrong."""
    seen = [await look(subject, plan) for plan in plans_of(subject.offering)]
    if refused := refusal([problem for one in seen for problem in one.problems]):
        raise refused
    warnings = [*dict.fromkeys(warning for one in seen for warning in one.warnings)]
    makes = reduce(or_, (one.makes for one in seen), await asyncio.to_thread(named, subject.archive))
    rendered = next((one for one in seen if one.made), None)
    if rendered is None or rendered.made is None:
        return Checked(None, [], warnings, makes=makes)
    differing, clocks = await repeated(subject, rendered.made)
    return Checked(rendered.findings, differing, [*warnings, *clocks], rendered.made.release, makes)


def named(archive: Path) -> Makes:
    """What stands in its templates, and consumers may switch on."""
    texts = templates.texts(archive)
    return Makes(named=frozenset(templates.named(texts)), looked_up=frozenset(templates.looked_up(texts)))


async def look(subject: Subject, plan: Plan | None) -> Seen:
    try:
        made = await rendering(subject, plan)
    except HelmFailed as failed:
        return Seen([template_failed(failed, plan)], [])
    except Incomplete as incomplete:
        return Seen([], [str(incomplete)])
    manifests = await asyncio.to_thread(parse, made.text)
    policies = subject.offering.spec.policies
    found = findings(manifests, policies.pods)
    makes = chart_rights.makes(manifests)
    kinds = Kinds(subject.served, defined(manifests))
    values = merge(subject.chart.values, made.release.values)
    wrong = problems(subject.offering, plan, manifests, found, kinds, made.release.namespace, values)
    wrong += chart_rights.problems(manifests, values)
    if subject.preflight:
        wrong += await subject.preflight.of_cluster(policies, manifests, found)
        wrong += await subject.preflight.of_quota(policies, plan)
    if not wrong:
        wrong = await collisions(subject, plan, manifests, kinds, values)
    wrong = [Problem(each.reason, generic(each.message, made.release)) for each in wrong]
    warnings = [*unstated(found, policies.quota, plan), *outgrown(manifests, found, policies, plan)]
    warnings += unplaced(manifests, kinds, policies)
    return Seen(wrong, [*warnings, *found.demand.notes], made, found, makes)


async def rendering(subject: Subject, plan: Plan | None, sample: int = 0) -> Rendering:
    """What an order of this plan would be rendered to. What consumers have to give is given only if it must be."""
    offering = subject.offering
    try:
        return await render(subject, Order(defaulted(offering), plan, sample))
    except HelmFailed as failed:
        if not demanded(offering) or failed.reason not in ("TemplateFailed", "ValuesRefused", "HelmFailed"):
            raise
    spec, secrets = with_demanded(offering, subject.chart.values)
    try:
        return await render(subject, Order(spec, plan, sample, secrets))
    except HelmFailed as failed:
        names = ", ".join(each.name or each.path for each in demanded(offering))
        what = f"not checked{on(plan)}: it renders only with values of the consumer's own ({names})"
        raise Incomplete(f"{what}; with sample values Helm says: {failed.message[:500]}") from failed


async def render(subject: Subject, order: Order, limit: float = SECONDS) -> Rendering:
    asked = release(subject.offering, subject.chart.digest, order)
    background = subject.background
    text = await subject.renderer.render(subject.archive, asked, subject.served, background=background, limit=limit)
    return Rendering(order, asked, text)


def on(plan: Plan | None) -> str:
    return f" on plan {plan.name}" if plan else ""


def template_failed(failed: HelmFailed, plan: Plan | None) -> Problem:
    where = f"spec.plans[{plan.name}].values" if plan else "spec.values"
    fix = "give what it asks for by spec.values, or make it a parameter with required: true"
    if failed.reason in ("Timeout", "TooLarge"):
        fix = "switch off by spec.values what makes it so"
    reason = failed.reason if failed.reason in ("Timeout", "ValuesRefused") else "TemplateFailed"
    return Problem(reason, f"{where}: the chart does not render{on(plan)}: {failed.message}; {fix}")


async def collisions(
    subject: Subject, plan: Plan | None, manifests: list[Manifest], kinds: Kinds, values: Values
) -> list[Problem]:
    """Only what lives in no namespace can collide; without such objects there is no need to look."""
    limit = subject.offering.spec.policies.limits.instances
    if limit is not None and limit <= 1:
        return []
    if all(kinds.namespaced(each) is not False or each.from_crds for each in manifests):
        return []
    try:
        other = await rendering(subject, plan, sample=1)
    except HelmFailed as failed:
        return [template_failed(failed, plan)]
    except Incomplete:
        return []
    return fixed_names(manifests, await asyncio.to_thread(parse, other.text), kinds, values)


async def repeated(subject: Subject, made: Rendering) -> tuple[list[str], list[str]]:
    """What differs when the same is rendered once more; a chart that reads the clock is given another second."""
    clocks = await asyncio.to_thread(templates_with_clock, subject.archive)
    if clocks:
        await asyncio.sleep(TICK)
    try:
        again = await render(subject, made.order)
        differing = told(await asyncio.to_thread(unstable, made.text, again.text))
    except (HelmFailed, Refused) as error:
        return [f"it does not always render: {error}"[:500]], []
    return differing, [f"{path} reads the clock" for path in clocks]
