"""Which kinds there are, and whether their objects live in a namespace. Pure.

By what the API server's discovery says; a table of Kubernetes' own kinds stands in for groups it could not ask.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from shared.manifests import Manifest, items, mapping

CORE_CLUSTER = "ComponentStatus Namespace Node PersistentVolume"
CORE_NAMESPACED = (
    "Binding ConfigMap Endpoints Event LimitRange PersistentVolumeClaim Pod PodTemplate ReplicationController"
    " ResourceQuota Secret Service ServiceAccount"
)
CLUSTER_SCOPED = {
    "": CORE_CLUSTER,
    "admissionregistration.k8s.io": "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding"
    " MutatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding"
    " ValidatingWebhookConfiguration",
    "apiextensions.k8s.io": "CustomResourceDefinition",
    "apiregistration.k8s.io": "APIService",
    "certificates.k8s.io": "CertificateSigningRequest ClusterTrustBundle",
    "flowcontrol.apiserver.k8s.io": "FlowSchema PriorityLevelConfiguration",
    "networking.k8s.io": "IngressClass IPAddress ServiceCIDR",
    "node.k8s.io": "RuntimeClass",
    "policy": "PodSecurityPolicy",
    "rbac.authorization.k8s.io": "ClusterRole ClusterRoleBinding",
    "resource.k8s.io": "DeviceClass ResourceSlice",
    "scheduling.k8s.io": "PriorityClass",
    "storage.k8s.io": "CSIDriver CSINode StorageClass VolumeAttachment VolumeAttributesClass",
}
NAMESPACED = {
    "": CORE_NAMESPACED,
    "apps": "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet",
    "autoscaling": "HorizontalPodAutoscaler",
    "batch": "CronJob Job",
    "coordination.k8s.io": "Lease",
    "discovery.k8s.io": "EndpointSlice",
    "events.k8s.io": "Event",
    "networking.k8s.io": "Ingress NetworkPolicy",
    "policy": "PodDisruptionBudget",
    "rbac.authorization.k8s.io": "Role RoleBinding",
    "resource.k8s.io": "ResourceClaim ResourceClaimTemplate",
    "storage.k8s.io": "CSIStorageCapacity",
}


def _table() -> dict[tuple[str, str], bool]:
    by_scope = ((False, CLUSTER_SCOPED), (True, NAMESPACED))
    return {
        (group, kind): namespaced
        for namespaced, groups in by_scope
        for group, kinds in groups.items()
        for kind in kinds.split()
    }


BUILT_IN = _table()


@dataclass(frozen=True)
class Served:
    """What a cluster serves, as far as it could be asked."""

    version: str | None = None
    """Of Kubernetes, such as v1.35.4."""
    kinds: dict[tuple[str, str, str], bool] = field(default_factory=dict)
    """Whether they live in a namespace, by (group, version, kind)."""
    unasked: frozenset[str] = frozenset()
    """Groups whose own server did not answer."""
    default_storage_class: str | None = None

    @property
    def api_versions(self) -> tuple[str, ...]:
        """As charts ask for them: group/version, and group/version/Kind."""
        found = {"/".join(part for part in (group, version) if part) for group, version, _ in self.kinds}
        named = {"/".join(part for part in key if part) for key in self.kinds}
        return tuple(sorted(found | named))


def discovered(*documents: Any) -> tuple[dict[tuple[str, str, str], bool], frozenset[str]]:
    """The kinds in aggregated discovery documents (APIGroupDiscoveryList), and the groups that did not answer."""
    kinds: dict[tuple[str, str, str], bool] = {}
    unasked: set[str] = set()
    for group, version in _versions(documents):
        if version.get("freshness") == "Stale":
            unasked.add(group)
        for resource in items(version.get("resources")):
            kind = mapping(resource.get("responseKind")).get("kind")
            if kind:
                kinds[group, version["version"], kind] = resource.get("scope") == "Namespaced"
    return kinds, frozenset(unasked)


def _versions(documents: Iterable[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for document in documents:
        for group in items(document.get("items")):
            for version in items(group.get("versions")):
                yield mapping(group.get("metadata")).get("name") or "", version


def defined(manifests: Iterable[Manifest]) -> dict[tuple[str, str, str], bool]:
    """The kinds that the chart's own CRDs add."""
    found = {}
    for each in manifests:
        if each.kind != "CustomResourceDefinition":
            continue
        spec = mapping(each.body.get("spec"))
        names = [mapping(spec.get("names")).get("kind")]
        versions = [version.get("name") for version in items(spec.get("versions"))] or [spec.get("version")]
        for kind in names:
            for version in versions:
                found[str(spec.get("group")), str(version), str(kind)] = spec.get("scope") == "Namespaced"
    return found


@dataclass(frozen=True)
class Kinds:
    """All kinds that the objects of a chart may be of."""

    served: Served
    own: dict[tuple[str, str, str], bool]

    def known(self, each: Manifest) -> bool:
        key = (each.group, each.version, each.kind)
        if key in self.own or key in self.served.kinds or each.group in self.served.unasked:
            return True
        return not self.served.kinds and (each.group, each.kind) in BUILT_IN

    def namespaced(self, each: Manifest) -> bool | None:
        """None for a kind nobody knows."""
        key = (each.group, each.version, each.kind)
        for known in (self.own, self.served.kinds):
            if key in known:
                return known[key]
        return BUILT_IN.get(key[::2])
