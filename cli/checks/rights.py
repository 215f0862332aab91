"""Whether the functions' service accounts may do what their steps need: the API server is asked, not our manifests."""

import asyncio
from dataclasses import dataclass

from cli.checks.finding import Finding, missing, ok, unknown
from shared.cluster import Cluster
from shared.errors import ApiError
from shared.resources import GROUP, RELEASES_NAMESPACE, SERVICE_ACCOUNTS, SYSTEM_NAMESPACE, Resource

SUBJECT = "rights"
REVIEWS = Resource("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False)
RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Right:
    account: str
    verb: str
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        """As it is said where it is lacking."""
        what = "/".join(part for part in (self.resource, self.subresource) if part)
        full = f"{what}.{self.group}" if self.group else what
        return f"{self.account} may not {self.verb} {full}"


NEEDED = (
    Right("admit-instance", "get", GROUP, "offerings"),
    Right("apply-policies", "create", "", "namespaces"),
    Right("apply-policies", "create", "networking.k8s.io", "networkpolicies"),
    Right("apply-policies", "create", RBAC, "rolebindings"),
    Right("grant-access", "create", RBAC, "clusterroles"),
    Right("install-release", "impersonate", "", "serviceaccounts", namespace=RELEASES_NAMESPACE),
    Right("publish-api", "create", "apiextensions.k8s.io", "customresourcedefinitions"),
    Right("register-chart", "patch", GROUP, "offerings", subresource="status"),
    Right("remove-release", "delete", "", "namespaces"),
    Right("report-health", "list", "apps", "deployments"),
    Right("resync", "list", GROUP, "offerings"),
    Right("instances-source", "watch", "", "pods"),
    Right("offerings-source", "watch", GROUP, "offerings"),
)
"""Of each function the one that it is most likely to miss: without them nothing goes on."""


async def look(cluster: Cluster) -> list[Finding]:
    try:
        accounts = (await cluster.list(SERVICE_ACCOUNTS, SYSTEM_NAMESPACE, metadata_only=True))["items"]
        answers = await asyncio.gather(*[allowed(cluster, each) for each in NEEDED])
    except ApiError as error:
        if error.status != 403:
            raise
        return [unknown(SUBJECT, "not visible to you: what the functions may do (subjectaccessreviews)")]
    there = {each["metadata"]["name"] for each in accounts}
    return judged(there, dict(zip(NEEDED, answers, strict=True)))


async def allowed(cluster: Cluster, right: Right) -> bool:
    wanted = {
        "verb": right.verb,
        "group": right.group,
        "resource": right.resource,
        "subresource": right.subresource,
        "namespace": right.namespace,
    }
    user = f"system:serviceaccount:{SYSTEM_NAMESPACE}:{right.account}"
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{SYSTEM_NAMESPACE}", "system:authenticated"]
    spec = {"user": user, "groups": groups, "resourceAttributes": wanted}
    answer = await cluster.create(REVIEWS, {"metadata": {}, "spec": spec})
    return bool(answer["status"].get("allowed"))


def judged(accounts: set[str], answers: dict[Right, bool]) -> list[Finding]:
    gone = sorted({right.account for right in answers} - accounts)
    if gone:
        what = f"service accounts are missing in namespace {SYSTEM_NAMESPACE}: {', '.join(gone)}"
        return [missing(SUBJECT, what, "chandlery install")]
    lacking = [right for right, may in answers.items() if not may]
    if not lacking:
        return [ok(SUBJECT, f"the functions have the {len(answers)} rights that were tried")]
    return [missing(SUBJECT, f"service account {right}", "chandlery upgrade") for right in lacking]
