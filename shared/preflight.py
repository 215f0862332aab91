"""What is really to be installed, held against the Offering's policies, the Pod Security Standards and the nodes.

The same at registration, on what consumers would have by default, and by Helm's post-renderer at each install and
upgrade. Nothing here enforces: the API server does, pod by pod and later. This says so before anything is there.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Self

import structlog

from shared import capacity, placement, standards
from shared.checks import problems, refusal
from shared.cluster import Cluster
from shared.discovery import served
from shared.engine import Review
from shared.errors import ApiError, Invalid, Refused, RetryLater
from shared.instance import Instance
from shared.kinds import BUILT_IN, Kinds, Served
from shared.lifetime import opened
from shared.manifests import Manifest
from shared.offering import Offering, Plan, Policies
from shared.orders import fingerprint
from shared.problems import Problem
from shared.releases import Release
from shared.rendered import Findings, findings
from shared.rerendered import Piece, pieces, text_of
from shared.resources import NODES, PODS
from shared.values import plan_of

NAMESPACE = "chandlery-preflight-{}"
"""Where pods are made that never are: by dry run, with the level enforced. See knative/base/namespace.yaml."""
NODES_SECONDS = 15.0
KINDS_SECONDS = 60.0
KINDS_AGAIN_SECONDS = 5.0
VERDICTS = 4096

log = structlog.get_logger()


@dataclass
class Known:
    """Something of the cluster that is not asked for each time."""

    value: Any = None
    at: float = float("-inf")

    def older(self, seconds: float) -> bool:
        return time.monotonic() - self.at > seconds


class Preflight:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._verdicts: dict[tuple[str, str], str | None] = {}
        self._asking: dict[tuple[str, str], asyncio.Lock] = {}
        self._nodes = Known()
        self._served = Known()
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls) -> Self:
        return cls(await opened(Cluster))

    async def close(self) -> None:
        pass

    def review(self, offering: Offering, instance: Instance, release: Release) -> Review:
        """For one instance, with its own values; raises Refused."""
        plan = plan_of(offering, instance.spec)

        async def review(text: str) -> str:
            found = await asyncio.to_thread(pieces, text)
            manifests = [each.manifest for each in found if each.manifest]
            if refused := refusal(await self.objections(offering, plan, release, manifests)):
                where = f"spec.values, spec.plans and spec.policies are those of offering {offering.metadata.name}"
                raise Refused(refused.reason, f"{refused.message} ({where})")
            return await asyncio.to_thread(put, text, found, offering.spec.policies)

        return review

    async def objections(
        self, offering: Offering, plan: Plan | None, release: Release, manifests: list[Manifest]
    ) -> list[Problem]:
        policies, whose = offering.spec.policies, "this instance"
        kinds = await self.kinds(manifests, policies)

        def held() -> tuple[Findings, list[Problem]]:
            seen, where = findings(manifests, policies.pods), release.namespace
            return seen, problems(offering, plan, manifests, seen, kinds, where, release.values, whose)

        seen, wrong = await asyncio.to_thread(held)  # a large chart is much to look at
        return [*wrong, *await self.of_cluster(policies, manifests, seen, whose)]

    async def of_cluster(
        self, policies: Policies, manifests: list[Manifest], found: Findings, whose: str = "a default instance"
    ) -> list[Problem]:
        """What only the cluster can say."""
        secure = await self.secure(manifests, policies.pod_security)
        if policies.capacity == "Unchecked":
            return secure
        return [*secure, *capacity.beyond(manifests, found.demand, policies, await self.nodes(), whose)]

    async def of_quota(self, policies: Policies, plan: Plan | None) -> list[Problem]:
        if policies.capacity == "Unchecked" or not (policies.quota or (plan and plan.quota)):
            return []
        return [*capacity.beyond_quota(policies.quota, plan, policies, await self.nodes())]

    # Pod security

    async def secure(self, manifests: list[Manifest], level: str) -> list[Problem]:
        if level == "privileged":
            return []
        found = []
        for each in manifests:
            pod = None if each.only_a_test else standards.essence(each)
            said = await self.verdict(level, pod) if pod else None
            if said:
                found.append(standards.violated(each, level, said))
        return found

    async def verdict(self, level: str, pod: dict[str, Any]) -> str | None:
        """What is wrong with it, as the API server says; asked once for all that are alike."""
        key = (level, fingerprint(pod))
        async with self._asking.setdefault(key, asyncio.Lock()):
            try:
                if key not in self._verdicts:
                    if len(self._verdicts) >= VERDICTS:
                        self._verdicts.clear()
                    self._verdicts[key] = await self._ask(NAMESPACE.format(level), pod)
                return self._verdicts[key]
            except Unanswered as why:
                log.warning("pod security was not asked", level=level, why=str(why))
                return None
            finally:
                self._asking.pop(key, None)

    async def _ask(self, namespace: str, pod: dict[str, Any]) -> str | None:
        body = {**pod, "metadata": {**pod["metadata"], "namespace": namespace}}
        try:
            await self._cluster.create(PODS, body, dry_run=True)
        except Invalid:
            return None  # the API server will say so of the real one, by its own names
        except ApiError as error:
            if said := standards.violations(error.message):
                return said
            if "quota" in error.message:
                return None  # the quota lets no pod in, and is asked last: pod security had nothing to say
            if "service account" in error.message:
                raise RetryLater(f"namespace {namespace} has just been made") from error
            raise Unanswered(error.message) from error
        return None

    # The cluster, as it was a moment ago

    async def nodes(self) -> list[capacity.Node]:
        async with self._turn:
            if self._nodes.older(NODES_SECONDS):
                found = (await self._cluster.list(NODES, cached=True))["items"]
                self._nodes = Known(capacity.nodes_of(found), time.monotonic())
        nodes: list[capacity.Node] = self._nodes.value
        return nodes

    async def kinds(self, manifests: list[Manifest], policies: Policies) -> Kinds:
        """Kubernetes' own kinds are known; of others the cluster is asked, again when it does not know them."""
        foreign = [each for each in manifests if (each.group, each.kind) not in BUILT_IN]
        if not foreign and policies.storage_classes is None:
            return Kinds(Served(), {})
        kinds = Kinds(await self._discovered(KINDS_SECONDS), {})
        if all(kinds.known(each) for each in foreign):
            return kinds
        return Kinds(await self._discovered(KINDS_AGAIN_SECONDS), {})

    async def _discovered(self, seconds: float) -> Served:
        async with self._turn:
            if self._served.older(seconds):
                self._served = Known(await served(self._cluster), time.monotonic())
        found: Served = self._served.value
        return found


class Unanswered(Exception):
    """The API server could not say; what it enforces, it enforces all the same."""


def put(text: str, found: list[Piece], policies: Policies) -> str:
    """With every pod where it belongs; the very same text where nothing is to be changed."""
    wanted = placement.placement(policies.pods)
    return text_of(text, found, lambda each: placement.placed(each, wanted)) if wanted else text
