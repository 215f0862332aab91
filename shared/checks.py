"""Whether a rendered chart may be offered: what it makes, where, and whether its namespace has room for it. Pure.

Each decision collects all that is wrong, not the first of it: a provider corrects an Offering once.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal

from shared.containers import above_limits, named_nodes
from shared.demand import Amounts, bad_quantities, of_pod, room_to_grow
from shared.errors import Refused
from shared.kinds import BUILT_IN, Kinds
from shared.manifests import Manifest
from shared.offering import Offering, Plan, Policies, Quantities, Values
from shared.openings import addresses, opened, reserved, services
from shared.placement import placement
from shared.problems import Problem
from shared.quantities import quantity, shown
from shared.rendered import Findings
from shared.values import format_path, leaves

HOOKS = 50
TOLD = 5
SAID = 3500
SWITCHES = ("create", "enabled", "install", "installCRDs", "createCustomResource")
ALIASES = {"cpu": "requests.cpu", "memory": "requests.memory", "ephemeral-storage": "requests.ephemeral-storage"}


def refusal(problems: list[Problem]) -> Refused | None:
    """All of them as one, under the reason of the first."""
    if not problems:
        return None
    unique = list(dict.fromkeys(problems))
    more = f"\nand {len(unique) - TOLD} more" if len(unique) > TOLD else ""
    text = "\n".join(problem.message for problem in unique[:TOLD])
    return Refused(unique[0].reason, (text if len(text) <= SAID else f"{text[:SAID]}...") + more)


def problems(
    offering: Offering,
    plan: Plan | None,
    manifests: list[Manifest],
    found: Findings,
    kinds: Kinds,
    namespace: str,
    values: Values,
    whose: str = "a default instance",
) -> list[Problem]:
    """What is wrong with one rendering for an instance in `namespace`; `values` are what it was made from."""
    real = [each for each in manifests if not each.only_a_test]
    policies = offering.spec.policies
    return [
        *unknown_kinds(real, kinds),
        *cluster_scoped(real, kinds, policies.cluster_scoped, values),
        *elsewhere(real, kinds, namespace, values),
        *too_many_hooks(found),
        *(Problem("InvalidManifest", f"{what}; set it by spec.values") for what in bad_quantities(real)),
        *storage_classes(found, policies.storage_classes, kinds.served.default_storage_class),
        *above_limits(real, policies.pods),
        *named_nodes(real, policies.pods),
        *services(real, policies.service_types),
        *addresses(real),
        *opened(real, policies.network, namespace, switched_by, values),
        *reserved(real),
        *over_quota(found, policies.quota, plan, whose),
    ]


def unknown_kinds(manifests: Iterable[Manifest], kinds: Kinds) -> Iterator[Problem]:
    for each in manifests:
        if not kinds.known(each):
            what = f"{each.source}: {each.shown} is of {each.api_version}, which this cluster does not serve"
            fix = "install its CRD first, or set spec.values so that the chart leaves it out"
            yield Problem("UnknownKind", f"{what}; {fix}")


def allowed(each: Manifest, names: list[str]) -> bool:
    return each.kind in names or f"{each.kind}.{each.group}" in names


def cluster_scoped(manifests: Iterable[Manifest], kinds: Kinds, names: list[str], values: Values) -> Iterator[Problem]:
    for each in manifests:
        if kinds.namespaced(each) is not False or allowed(each, names):
            continue
        fix = f"add {each.kind} to spec.policies.clusterScoped"
        if each.from_crds:
            what = f"{each.source}: {each.shown} would be installed for the whole cluster"
        else:
            what = f"{each.source}: {each.shown} does not live in a namespace"
            switches = switched_by(each, values)
            fix += f", or switch it off with spec.values{': ' + switches if switches else ''}"
        yield Problem("ClusterScopedObject", f"{what}; {fix}")


def switched_by(each: Manifest, values: Values) -> str:
    """The chart's values that by their names may switch such an object off."""
    words = {*_words(each.kind), *_words(each.group.split(".")[0])}
    likely = []
    for path, value in leaves(values):
        if value is True and path[-1] in SWITCHES and words & {word for step in path for word in _words(step)}:
            likely.append(f"{format_path(path)}: false")
    return " or ".join(likely[:TOLD])


def _words(name: str) -> set[str]:
    """`ClusterRole` is found in rbac.create, clusterRole.create, roles.enabled; CRDs in installCRDs."""
    lower = name.lower()
    known = {"customresourcedefinition": ("crd", "crds", "installcrds"), "rbac": ("rbac",)}
    aliases = {"clusterrole": ("rbac", "role", "roles"), "clusterrolebinding": ("rbac", "role", "roles")}
    return {lower, f"{lower}s", *known.get(lower, ()), *aliases.get(lower, ())}


def elsewhere(manifests: Iterable[Manifest], kinds: Kinds, namespace: str, values: Values) -> Iterator[Problem]:
    for each in manifests:
        if each.namespace in (None, namespace) or kinds.namespaced(each) is False:
            continue
        what = f"{each.source}: {each.shown} has metadata.namespace {each.namespace}"
        set_by = [format_path(path) for path, value in leaves(values) if value == each.namespace][:TOLD]
        how = f" ({' or '.join(set_by)})" if set_by else ""
        fix = f"all must stay in the release's own namespace: leave it out by spec.values{how}"
        yield Problem("ForeignNamespace", f"{what}; {fix}")


def too_many_hooks(found: Findings) -> Iterator[Problem]:
    if len(found.hooks) > HOOKS:
        what = f"the chart has {len(found.hooks)} hooks, {HOOKS} are the limit"
        yield Problem("TooManyHooks", f"templates: {what}; switch some off with spec.values")


def fixed_names(one: list[Manifest], other: list[Manifest], kinds: Kinds, values: Values) -> list[Problem]:
    """Two instances, as different as can be: what is called the same outside of namespaces can't be there twice."""
    names = {(each.group, each.kind, each.name) for each in other}
    found = []
    for each in one:
        if each.only_a_test or each.from_crds or kinds.namespaced(each) is not False:
            continue
        if (each.group, each.kind, each.name) in names:
            what = f"{each.source}: {each.shown} is called the same in every instance, and lives in no namespace"
            set_by = [format_path(path) for path, value in leaves(values) if value == each.name][:TOLD]
            where = f"{' or '.join(set_by)}: $(release.namespace)" if set_by else "a name with $(release.namespace)"
            fix = f"give spec.values {where}, or allow one instance only with spec.policies.limits.instances: 1"
            found.append(Problem("FixedName", f"{what}; {fix}"))
    return found


def storage_classes(found: Findings, names: list[str] | None, default: str | None) -> Iterator[Problem]:
    if names is None:
        return
    listed = ", ".join(names) or "none"
    for each in found.storage:
        wanted = default if each.name is None else each.name
        if wanted is None or wanted in names:
            continue
        how = f"storageClassName {wanted!r}"
        if each.name is None:
            how = f"no storageClassName, so the cluster's default, {wanted}"
        elif not wanted:
            how = 'storageClassName "", a volume made by hand'
        fix = "set the class by spec.values or add it to spec.policies.storageClasses"
        yield Problem("StorageClassNotAllowed", f"{each.object} asks for {how}; allowed: {listed}; {fix}")


def stated(quota: Quantities, plan: Plan | None) -> list[tuple[str, str, str | int]]:
    """(field, key, limit): the Offering's quota, the plan's over it."""
    found = [(f"spec.policies.quota.{key}", key, limit) for key, limit in quota.items()]
    if plan:
        where = f"spec.plans[{plan.name}].quota"
        found = [each for each in found if each[1] not in plan.quota]
        found += [(f"{where}.{key}", key, limit) for key, limit in plan.quota.items()]
    return found


def over_quota(
    found: Findings, quota: Quantities, plan: Plan | None, whose: str = "a default instance"
) -> Iterator[Problem]:
    """An instance must fit into the namespace it is given."""
    for field, key, limit in stated(quota, plan):
        most = quantity(limit)
        if most is None:
            yield Problem("InvalidQuantity", f"{field}: {limit!r} is no quantity, such as 500m or 4Gi")
            continue
        resource = ALIASES.get(key, key)
        asked = found.demand.total.get(resource)
        if asked is not None and asked > most:
            for_plan = f" on plan {plan.name}" if plan else ""
            what = f"{whose}{for_plan} asks for {shown(asked, resource)}, {shown(most, resource)} is allowed"
            parts = _parts(found.demand.by, resource)
            fix = "raise the quota, or lower what the chart asks for by spec.values"
            yield Problem("ExceedsQuota", f"{field}: {what} ({parts}); {fix}")


def outgrown(manifests: list[Manifest], found: Findings, policies: Policies, plan: Plan | None) -> Iterator[str]:
    """Autoscalers that the quota stops on their way up. A warning: the default instance runs."""
    for scaler, work, more in room_to_grow(manifests):
        one = of_pod(work.spec, policies.pods, work.manifest.shown, defaultdict(list)) | {"pods": Decimal(1)}
        for field, key, limit in stated(policies.quota, plan):
            resource, most = ALIASES.get(key, key), quantity(limit)
            asked = found.demand.total.get(resource, Decimal(0)) + one.get(resource, Decimal(0)) * more
            if most is not None and resource in one and asked > most:
                what = f"{scaler.shown}: spec.maxReplicas would take {shown(asked, resource)}"
                yield f"{what}, {field} allows {shown(most, resource)}"


def unplaced(manifests: Iterable[Manifest], kinds: Kinds, policies: Policies) -> Iterator[str]:
    """Pods of custom resources are placed by the API server, where it can."""
    served = {(group, kind) for group, _, kind in kinds.served.kinds}
    if not placement(policies.pods) or ("admissionregistration.k8s.io", "MutatingAdmissionPolicy") in served:
        return
    for each in manifests:
        if (each.group, each.kind) not in BUILT_IN:
            what = f"{each.shown}: spec.policies.pods does not place the pods that an operator makes of it"
            yield f"{what}: this cluster serves no MutatingAdmissionPolicy"


def _parts(by: dict[str, Amounts], resource: str) -> str:
    asked = sorted(((amounts[resource], name) for name, amounts in by.items() if amounts.get(resource)), reverse=True)
    told = ", ".join(f"{name} {shown(amount, resource)}" for amount, name in asked[:TOLD])
    return told + (f" and {len(asked) - TOLD} more" if len(asked) > TOLD else "")


def unstated(found: Findings, quota: Quantities, plan: Plan | None) -> list[str]:
    """A quota on requests or limits refuses pods that state none. A warning: a default may come from elsewhere."""
    keys = {ALIASES.get(key, key) for key in [*quota, *(plan.quota if plan else {})]}
    return [
        f"the quota bounds {key}, and {names[0]} states none"
        + (f" (and {len(names) - 1} more)" if len(names) > 1 else "")
        + f"; give a default in spec.policies.pods.{key}"
        for key, names in sorted(found.demand.unstated.items())
        if key in keys
    ]
