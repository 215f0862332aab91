"""Where each kind lives in the Kubernetes API. Known beforehand, so that nothing asks for discovery."""

from dataclasses import dataclass
from urllib.parse import quote

from events.base import InstanceKey
from shared.offering import Offering

GROUP = "chandlery.dev"
SYSTEM_NAMESPACE = "chandlery"
RELEASES_NAMESPACE = "chandlery-releases"
"""Holds nothing but the names that Helm acts under, one for each release namespace."""


@dataclass(frozen=True)
class Resource:
    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of the collection, an object, or one of its subresources; no namespace means all of them."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/" + "/".join(quote(part) for part in parts)


OFFERINGS = Resource(GROUP, "v1alpha1", "offerings", "Offering", namespaced=False)
CONSUMERS = Resource(GROUP, "v1alpha1", "consumers", "Consumer", namespaced=False)
PROVIDERS = Resource(GROUP, "v1alpha1", "providers", "Provider", namespaced=False)
CUSTOM_RESOURCE_DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
BROKERS = Resource("eventing.knative.dev", "v1", "brokers", "Broker")
KUBERNETES_EVENTS = Resource("events.k8s.io", "v1", "events", "Event")
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
SECRETS = Resource("", "v1", "secrets", "Secret")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
CLUSTER_ROLES = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
RESOURCE_QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")
LIMIT_RANGES = Resource("", "v1", "limitranges", "LimitRange")
NETWORK_POLICIES = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
STORAGE_CLASSES = Resource("storage.k8s.io", "v1", "storageclasses", "StorageClass", namespaced=False)
CLUSTER_ROLE_BINDINGS = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)
SUBJECT_ACCESS_REVIEWS = Resource(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False
)
SELF_SUBJECT_ACCESS_REVIEWS = Resource(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False
)
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
PODS = Resource("", "v1", "pods", "Pod")
NODES = Resource("", "v1", "nodes", "Node", namespaced=False)
CLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")

WORKLOADS: tuple[Resource, ...] = (
    Resource("apps", "v1", "deployments", "Deployment"),
    Resource("apps", "v1", "statefulsets", "StatefulSet"),
    Resource("apps", "v1", "daemonsets", "DaemonSet"),
    Resource("batch", "v1", "jobs", "Job"),
    CLAIMS,
    Resource("", "v1", "services", "Service"),
    Resource("networking.k8s.io", "v1", "ingresses", "Ingress"),
    PODS,
)
"""What an instance's health and endpoints are read from."""


def of_instance(key: InstanceKey) -> Resource:
    return Resource(key.group, key.version, key.plural, key.kind)


def of_offering(offering: Offering) -> Resource:
    """Its instances, in the version they are stored in."""
    api = offering.spec.api
    return Resource(api.group, offering.version, offering.plural, api.kind)
