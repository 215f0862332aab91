"""Helm, as the few things we ask of it: apply, history, undo, remove. Another engine can take its place.

Helm itself, in processes: what every order needs in ones that are kept (shared/engine.py), the rest by its CLI. PyPI's
pyhelm3 was found wanting: it runs Helm through a shell, and has no way to bound the environment. Values go by standard
input; Helm acts as the release's own account, never as the function.
"""

import asyncio
import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar
from weakref import WeakValueDictionary

import yaml
from prometheus_client import Gauge

from shared import tracing
from shared.cluster import Cluster, Object
from shared.engine import PROGRAM, EngineFailed, Engines, Review
from shared.errors import ApiError, NotFound, RetryLater
from shared.heartbeat import Heartbeat
from shared.lifetime import opened
from shared.releases import Release
from shared.resources import RELEASES_NAMESPACE, SECRETS

RUNS = Gauge("chandlery_helm_runs", "Helms at work, or waiting for a hook or a turn at the CPU")
INPUTS = "chandlery.dev/inputs"
HOLDER = "chandlery.dev/holder"
HISTORY_MAX = 5
IN_CLUSTER, POD = "in-cluster.kubeconfig", "/var/run/secrets/kubernetes.io/serviceaccount"
OUTPUT_LIMIT = 2000
AT_ONCE = 32
"""Each needs about 60 MB, and no more than ENGINE lets it keep."""
ENGINE = {"GOGC": "400", "GOMEMLIMIT": "192MiB"}
BUSY_SECONDS = 2
"""Helm is CPU-bound: more than there are cores only take turns. One that runs longer than this waits for a hook."""

# What Helm's words mean for us; the first that is found counts.
BUSY = re.compile(
    r"another operation \(install/upgrade/rollback\) is in progress|cannot re-?use a name that is still in use"
    r"|status unknown for quota"  # it was made a moment ago, and Kubernetes has not counted yet
    r'|secrets "sh\.helm\.release\.v1\.[^"]*" already exists|release: already exists'
)
AWAY = re.compile(
    r"connection refused|cluster unreachable|connection reset|etcdserver|server is currently unable"
    r"|TLS handshake timeout|too many requests|unexpected EOF|client connection lost|apiserver not ready"
    r"|no route to host",
    re.IGNORECASE,
)
REASONS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("HookTimeout", re.compile(r"hooks? failed.*(timed out|deadline exceeded)|(timed out|deadline exceeded)", re.S)),
    ("HookFailed", re.compile(r"(pre|post)-(install|upgrade|delete|rollback)|hooks? failed|failed (pre|post)-")),
    ("ValuesRefused", re.compile(r"don't meet the specifications of the schema")),
    ("TemplateFailed", re.compile(r"execution error at|template: |parse error|error converting YAML|YAML parse error")),
    ("Forbidden", re.compile(r"is forbidden")),
    ("ObjectRefused", re.compile(r"is invalid|admission webhook|denied the request|no matches for kind|unknown field")),
)


T = TypeVar("T")


class HelmFailed(Exception):
    """Helm did not do it, and would not if asked the same again at once. `output` is all it said, unshortened."""

    def __init__(self, reason: str, message: str, output: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.output = output or message


@dataclass(frozen=True)
class Revision:
    """One entry of a release's history, as its Secret's labels tell it."""

    number: int
    status: str
    inputs: str | None
    holder: str | None
    secret: str
    resource_version: str

    @property
    def pending(self) -> bool:
        return self.status.startswith("pending-") or self.status == "uninstalling"


@dataclass(frozen=True)
class Applied:
    """What Helm says of a revision."""

    revision: int
    resources: tuple[str, ...]
    notes: str


class Helm:
    def __init__(self, cluster: Cluster, heartbeat: Heartbeat) -> None:
        self._cluster = cluster
        self._heartbeat = heartbeat
        self._home = Path(tempfile.mkdtemp(prefix="chandlery-helm-"))
        self._engines = Engines((*DIE_WITH_US, PROGRAM), environment(self._home) | ENGINE)
        self._room = asyncio.Semaphore(AT_ONCE)
        self._busy = asyncio.Semaphore((os.cpu_count() or 2) + 1)
        # Held weakly: a lock lives exactly as long as somebody has it or waits for it.
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    @classmethod
    async def open(cls) -> Self:
        helm = cls(await opened(Cluster), await opened(Heartbeat))
        (helm._home / IN_CLUSTER).write_text(json.dumps(in_cluster(helm._cluster.server)))
        return helm

    async def close(self) -> None:
        await self._engines.close()
        shutil.rmtree(self._home, ignore_errors=True)

    @asynccontextmanager
    async def turn(self, release: Release) -> AsyncIterator[None]:
        """One at a time for each release in this process; Helm's own lock does the rest."""
        key = (release.namespace, release.name)
        lock = self._turns.setdefault(key, asyncio.Lock())
        async with lock:
            yield

    async def apply(
        self, chart: Path, release: Release, *, first: bool, review: Review, slow: Callable[[], Awaitable[None]]
    ) -> Applied:
        """Install the `first` revision, or upgrade. Waits for hooks, not for workloads: what they do is watched.

        `review` sees, and may change, what is to be installed before anything is; what it raises is raised here.
        `slow` is called when it takes longer than Helm itself ever needs: a hook may take minutes. What is in the
        chart's crds/ is not Helm's to make: shared/chart_crds.py has done so when the chart was registered.
        """
        verb = "install" if first else "upgrade"
        asked = {
            "verb": verb,
            "chart": str(chart),
            "release": release.name,
            "namespace": release.namespace,
            "as": acting_as(release.namespace),
            "labels": {INPUTS: release.inputs, HOLDER: self._heartbeat.holder},
            "timeout": release.timeout,
            "historyMax": HISTORY_MAX,
            "values": release.values,
        }

        async def ask() -> dict[str, Any]:
            async with self._engines.one() as engine:
                return await engine.ask(asked, review)

        try:
            return applied(await self._bounded(verb, ask, seconds(release.timeout), slow))
        except EngineFailed as failed:
            raise failure(verb, str(failed)) from None

    async def read(self, release: Release) -> Applied:
        """What `apply` answered when the newest revision was made."""
        status = await self._run(["status", release.name, "--output", "json", *within(release, timeout=False)], 30)
        return applied(json.loads(status))

    async def roll_back(self, release: Release, revision: int) -> None:
        arguments = ["rollback", release.name, str(revision), "--history-max", str(HISTORY_MAX), *within(release)]
        await self._run(arguments, seconds(release.timeout))

    async def remove(self, release: Release) -> None:
        arguments = ["uninstall", release.name, "--ignore-not-found", *within(release)]
        await self._run(arguments, seconds(release.timeout))

    async def history(self, release: Release) -> list[Revision]:
        """Oldest first; from the labels of Helm's Secrets, without a process and without their contents."""
        secrets = await self._secrets(release.namespace, {"owner": "helm", "name": release.name})
        return sorted((revision(each) for each in secrets), key=lambda each: each.number)

    async def releases(self, namespace: str) -> list[str]:
        """The names of all releases in a namespace."""
        secrets = await self._secrets(namespace, {"owner": "helm"})
        return sorted({each["labels"]["name"] for each in secrets})

    async def _secrets(self, namespace: str, labels: dict[str, str]) -> list[Object]:
        whoever = acting_as(namespace)
        try:
            found = await self._cluster.list(SECRETS, namespace, labels=labels, metadata_only=True, impersonate=whoever)
        except ApiError as error:
            if error.status == 403:
                raise RetryLater(f"Helm's rights in {namespace} are not in force yet") from error
            raise
        return [each["metadata"] for each in found["items"]]

    async def unfinished(self, found: Revision) -> bool:
        """Whether somebody else is still at it. What this process holds is not: the caller has the turn."""
        if found.status == "uninstalling" or found.holder in (None, self._heartbeat.holder):
            return False  # the holder made the revision; whoever takes it down may do so twice
        return await self._heartbeat.alive(found.holder or "")

    async def forget(self, release: Release, left: Revision) -> None:
        """Drop what a killed process left pending. Its objects stay: Helm takes them over by its own annotations."""
        with contextlib.suppress(NotFound):
            await self._cluster.delete(
                SECRETS,
                left.secret,
                release.namespace,
                preconditions={"resourceVersion": left.resource_version},
                impersonate=acting_as(release.namespace),
            )

    async def _run(self, arguments: list[str], limit: float) -> str:
        return await self._bounded(arguments[0], partial(called, arguments, environment(self._home)), limit)

    async def _bounded(
        self,
        verb: str,
        work: Callable[[], Coroutine[Any, Any, T]],
        limit: float,
        slow: Callable[[], Awaitable[None]] | None = None,
    ) -> T:
        async with self._room, told(verb), AsyncExitStack() as busy:
            await busy.enter_async_context(self._busy)
            working = asyncio.create_task(work())
            try:
                await asyncio.wait({working}, timeout=BUSY_SECONDS)
                await busy.aclose()
                if slow and not working.done():
                    await slow()
                # Helm keeps to --timeout by itself; ours is for a Helm that does not.
                await asyncio.wait({working}, timeout=limit + 15)
                if not working.done():
                    raise HelmFailed("Timeout", f"helm {verb} did not end within {limit:g} s")
                return await working
            finally:
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)


async def called(arguments: list[str], given: dict[str, str]) -> str:
    """What the CLI prints, with this environment and no other."""
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *DIE_WITH_US, "helm", *arguments, env=given, stdin=nothing, stdout=pipe, stderr=pipe
    )
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise failure(arguments[0], err.decode(errors="replace"))
    return out.decode()


@asynccontextmanager
async def told(verb: str) -> AsyncIterator[None]:
    with RUNS.track_inprogress(), tracing.part(f"helm {verb}"):
        yield


# A Helm whose parent was killed must not go on: somebody else will pick the release up.
DIE_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--") if shutil.which("setpriv") else ()


def acting_as(namespace: str) -> str:
    """A service account that is not there: nobody can have a token of it, and no pod can run as it."""
    return f"system:serviceaccount:{RELEASES_NAMESPACE}:{namespace}"


def within(release: Release, *, timeout: bool = True) -> list[str]:
    where = ["--namespace", release.namespace, "--kube-as-user", acting_as(release.namespace)]
    return [*where, "--timeout", release.timeout] if timeout else where


def environment(home: Path) -> dict[str, str]:
    """Only what Helm needs. Its garbage collector is put off: a run is short (a fifth of its CPU time)."""
    kept = {name: os.environ[name] for name in ("PATH", "KUBECONFIG", "SSL_CERT_FILE") if name in os.environ}
    kept = {"KUBECONFIG": str(home / IN_CLUSTER)} | kept
    homes = {f"HELM_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    return kept | homes | {"HOME": str(home), "GOGC": "off", "GOMEMLIMIT": "512MiB", "HELM_DRIVER": "secret"}


def in_cluster(server: str) -> Object:
    """A kubeconfig for pods: Helm forgets that it runs in one as soon as it is told to act as somebody else."""
    files = {"certificate-authority": f"{POD}/ca.crt", "server": server}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": files}],
        "users": [{"name": "pod", "user": {"tokenFile": f"{POD}/token"}}],
        "contexts": [{"name": "pod", "context": {"cluster": "here", "user": "pod"}}],
        "current-context": "pod",
    }


def seconds(duration: str) -> float:
    """`1h2m3s` in seconds."""
    found = re.findall(r"(\d+)([hms])", duration)
    return float(sum(int(number) * {"h": 3600, "m": 60, "s": 1}[unit] for number, unit in found)) or 300.0


def failure(verb: str, errors: str) -> Exception:
    said = "\n".join(
        line for line in errors.strip().splitlines() if not line.startswith(("level=", "W0", "I0", "WARNING"))
    )
    message = (said or errors.strip())[-OUTPUT_LIMIT:].removeprefix("Error: ")
    if BUSY.search(errors):
        return RetryLater(f"helm {verb}: {message}", after=2)
    if AWAY.search(errors):
        return RetryLater(f"helm {verb}: the API server can't be reached: {message}", after=2)
    reason = next((reason for reason, pattern in REASONS if pattern.search(errors)), "HelmFailed")
    return HelmFailed(reason, message or f"helm {verb} failed and said nothing", said)


def revision(metadata: Object) -> Revision:
    labels: dict[str, str] = metadata["labels"]
    return Revision(
        number=int(labels["version"]),
        status=labels["status"],
        inputs=labels.get(INPUTS),
        holder=labels.get(HOLDER),
        secret=metadata["name"],
        resource_version=metadata["resourceVersion"],
    )


def applied(answer: dict[str, Any]) -> Applied:
    return Applied(
        revision=answer["version"],
        resources=inventory(answer.get("manifest", "")),
        notes=answer.get("info", {}).get("notes", ""),
    )


def inventory(manifest: str) -> tuple[str, ...]:
    """Every object of a manifest as kind.group/name, sorted."""
    objects = [each for each in yaml.load_all(manifest, Loader=yaml.CSafeLoader) if each]
    return tuple(sorted({reference(each) for each in objects}))


def reference(each: Object) -> str:
    group = each["apiVersion"].rpartition("/")[0]
    kind = each["kind"].lower()
    return f"{kind}.{group}/{each['metadata']['name']}" if group else f"{kind}/{each['metadata']['name']}"
