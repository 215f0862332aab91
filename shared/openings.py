"""Where a rendered chart would open a way that the Offering keeps shut, or use names that are ours. Pure."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from shared.demand import pod_path, within
from shared.manifests import Manifest, items, mapping
from shared.network import allows
from shared.offering import Network, Values
from shared.problems import Problem

DOMAIN = "chandlery.dev"
OWN_NAMESPACE = "kubernetes.io/metadata.name"
DIRECTIONS = (("ingress", "from", "allowFrom"), ("egress", "to", "allowTo"))

Switches = Callable[[Manifest, Values], str]


def services(manifests: Iterable[Manifest], types: Iterable[str]) -> Iterator[Problem]:
    allowed = [*types]
    for each in manifests:
        if (each.group, each.kind) != ("", "Service"):
            continue
        spec = mapping(each.body.get("spec"))
        kind = spec.get("type") or "ClusterIP"
        if kind not in allowed:
            what = f"{each.source}: {each.shown}: spec.type is {kind}; allowed: {', '.join(allowed) or 'none'}"
            fix = "set another one by spec.values, or add it to spec.policies.serviceTypes"
            yield Problem("ServiceTypeNotAllowed", f"{what}; {fix}")
        if spec.get("externalIPs"):
            what = f"{each.source}: {each.shown}: spec.externalIPs takes over the traffic of others"
            yield Problem("ExternalAddresses", f"{what}; leave them out by spec.values")


def addresses(manifests: Iterable[Manifest]) -> Iterator[Problem]:
    """Endpoints written by hand: whoever routes by them, such as an ingress controller, passes network policies by."""
    for each in manifests:
        key = {("", "Endpoints"): "subsets", ("discovery.k8s.io", "EndpointSlice"): "endpoints"}.get(
            (each.group, each.kind)
        )
        if key and each.body.get(key):
            what = f"{each.source}: {each.shown}: {key} may aim at pods of others"
            fix = "only Kubernetes may write addresses; leave it out by spec.values"
            yield Problem("ExternalAddresses", f"{what}; {fix}")


def reserved(manifests: Iterable[Manifest]) -> Iterator[Problem]:
    """Labels and annotations by which Chandlery knows its own objects."""
    for each in manifests:
        for where, metadata in _metadata(each):
            for kind in ("labels", "annotations"):
                for name in mapping(metadata.get(kind)):
                    prefix = str(name).partition("/")[0]
                    if prefix == DOMAIN or prefix.endswith(f".{DOMAIN}"):
                        what = f"{each.source}: {each.shown}: {where}metadata.{kind} has {name}"
                        yield Problem("ReservedName", f"{what}; such names are Chandlery's own: leave it out")


def _metadata(each: Manifest) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "", mapping(each.body.get("metadata"))
    path = pod_path(each)
    if path:
        yield f"{'.'.join(path)}.", mapping(within(each.body, (*path, "metadata")))


def opened(
    manifests: Iterable[Manifest], network: Network, namespace: str, switches: Switches, values: Values
) -> Iterator[Problem]:
    """Network policies add up: one of the chart's own may open what those of the Offering keep shut."""
    if network.isolation == "None":
        return
    for each in manifests:
        if (each.group, each.kind) != ("networking.k8s.io", "NetworkPolicy"):
            continue
        for field, why, listed in _openings(each, network, namespace):
            off = switches(each, values)
            what = f"{each.source}: {each.shown}: {field} {why}, isolation is {network.isolation}"
            fix = f"switch it off with spec.values{': ' + off if off else ''}, or list the peer in"
            yield Problem("OpensNetwork", f"{what}; {fix} spec.policies.network.{listed}")


def _openings(each: Manifest, network: Network, namespace: str) -> Iterator[tuple[str, str, str]]:
    spec = mapping(each.body.get("spec"))
    allowed = {"from": network.allow_from, "to": network.allow_to}
    for direction, side, listed in DIRECTIONS:
        for number, rule in enumerate(items(spec.get(direction))):
            field = f"spec.{direction}[{number}]"
            peers = items(rule.get(side))
            if not peers:
                yield field, "is open to everyone", listed
            for place, peer in enumerate(peers):
                open_anyway = any(allows(each, peer, items(rule.get("ports"))) for each in allowed[side])
                why = None if open_anyway else _leads_out(peer, namespace)
                if why:
                    yield f"{field}.{side}[{place}]", why, listed


def _leads_out(peer: dict[str, Any], namespace: str) -> str | None:
    if peer.get("ipBlock") is not None:
        return f"opens {mapping(peer['ipBlock']).get('cidr')}"
    selector = peer.get("namespaceSelector")
    if selector is None or selector == {"matchLabels": {OWN_NAMESPACE: namespace}}:
        return None
    return "opens other namespaces"
