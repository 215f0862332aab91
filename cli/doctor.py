"""`chandlery doctor`: what this cluster lacks, each with its fix."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import typer

from cli import output, session
from cli.checks import eventing, kubernetes, ledger, metrics, network, ours, rights, streams, workloads
from cli.checks.finding import Finding, missing, unknown
from shared.cluster import Cluster
from shared.errors import ApiError, RetryLater

PATIENCE = 15.0

Check = Callable[[Cluster], Awaitable[list[Finding]]]
CHECKS: dict[str, Check] = {
    "kubernetes": kubernetes.look,
    "admission": kubernetes.look_admission,
    "storage": kubernetes.look_storage,
    "network": network.look,
    "eventing": eventing.look,
    "nats": streams.look,
    "kinds": ours.look,
    "rights": rights.look,
    "functions": workloads.look,
    "metrics": metrics.look,
    "ledger": ledger.look,
}


def doctor(output: output.As = output.Format.TABLE) -> None:
    """Look at all that Chandlery needs of this cluster. Exit code 1: something is missing."""
    found = session.run(examined)
    show(found, output)
    if any(each.state == "missing" for each in found):
        raise typer.Exit(1)


def show(found: list[Finding], how: output.Format) -> None:
    if how != output.Format.TABLE:
        print(output.document([document(each) for each in found], how))
        return
    columns = {"": "state", "SUBJECT": "subject", "WHAT WAS FOUND": "text"}
    output.show(output.listed(columns, [document(each) | {"text": text(each)} for each in found]))


def document(found: Finding) -> dict[str, Any]:
    said = {"subject": found.subject, "state": found.state, "message": found.message, "fix": found.fix}
    return {key: value for key, value in said.items() if value}


def text(found: Finding) -> str:
    return f"{found.message}\n  fix: {found.fix}" if found.fix else found.message


async def examined(cluster: Cluster) -> list[Finding]:
    """All at once; one that hangs or breaks says so, and hides none of the others."""
    found = await asyncio.gather(*[checked(cluster, name, check) for name, check in CHECKS.items()])
    return [each for several in found for each in several]


async def checked(cluster: Cluster, name: str, check: Check) -> list[Finding]:
    try:
        async with asyncio.timeout(PATIENCE):
            return await check(cluster)
    except TimeoutError:
        return [unknown(name, f"no answer within {PATIENCE:g} s")]
    except RetryLater as error:
        return [missing(name, str(error), "is the cluster up, and is this its kubeconfig?")]
    except ApiError as error:
        if error.status == 401:
            raise
        if error.status == 403:
            return [unknown(name, f"not visible to you: {error.message}")]
        return [unknown(name, f"the API server refuses: {error.message}")]
