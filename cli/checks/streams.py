"""NATS: whether it can be reached, lets us in, and has JetStream."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import nats.errors
import nats.js.errors
from nats.aio.client import Client

from cli.checks.finding import Finding, missing, ok, unknown
from cli.push import NATS, nats_url
from shared.cluster import Cluster
from shared.errors import ApiError
from shared.resources import CONFIG_MAPS, SYSTEM_NAMESPACE

SUBJECT = "nats"
PATIENCE = 4.0
CONFIGURATION = "chandlery"
Answer = Literal["ok", "refused", "silent", "no-jetstream", "no-credentials"]


async def look(cluster: Cluster) -> list[Finding]:
    url, credentials = where(os.environ), os.environ.get("NATS_CREDS") or None
    inside = await configured(cluster)
    if url is None and inside:
        return [from_inside(inside)]
    url = url or NATS
    answer, why = await probe(url, credentials)
    return [judged(shown(url), answer, why)]


def where(environment: Mapping[str, str]) -> str | None:
    """None when nothing says so."""
    found = nats_url(environment)
    local = Path(environment.get("LOCAL") or ".local") / "nats"
    return found if environment.get("NATS_URL") or local.is_file() else None


async def configured(cluster: Cluster) -> str | None:
    """What the functions are told."""
    try:
        found = await cluster.get(CONFIG_MAPS, CONFIGURATION, SYSTEM_NAMESPACE)
    except ApiError:
        return None
    return ((found or {}).get("data") or {}).get("NATS_URL")


def from_inside(url: str) -> Finding:
    fix = f"to try it from here: kubectl -n {SYSTEM_NAMESPACE} port-forward service/nats 4222, and NATS_URL=nats://127.0.0.1:4222"
    return unknown(SUBJECT, f"the functions use {shown(url)}, which can't be tried from outside the cluster", fix)


async def probe(url: str, credentials: str | None) -> tuple[Answer, str]:
    if credentials and not await asyncio.to_thread(Path(credentials).is_file):
        return "no-credentials", credentials
    client, said = Client(), []

    async def keep(error: Exception) -> None:
        said.append(str(error))

    try:
        async with asyncio.timeout(PATIENCE):
            await client.connect(
                url, user_credentials=credentials, allow_reconnect=False, connect_timeout=3, error_cb=keep
            )
            await client.jetstream(timeout=2).account_info()
    except (nats.js.errors.ServiceUnavailableError, nats.js.errors.APIError, nats.errors.NoRespondersError) as error:
        return "no-jetstream", str(error)
    except (nats.errors.Error, OSError, TimeoutError, ValueError) as error:
        why = said[0] if said else str(error) or type(error).__name__
        return ("refused" if "authorization" in why.lower() or "authentication" in why.lower() else "silent"), why
    finally:
        with suppress(nats.errors.Error, OSError, TimeoutError):
            await asyncio.wait_for(client.close(), 2)
    return "ok", ""


def judged(url: str, answer: Answer, why: str) -> Finding:
    match answer:
        case "ok":
            return ok(SUBJECT, f"{url} answers, and has JetStream")
        case "refused":
            fix = "name a file with credentials in NATS_CREDS; in the cluster, key nats.creds of Secret chandlery-nats"
            return missing(SUBJECT, f"{url} refuses the credentials", fix)
        case "no-credentials":
            return missing(SUBJECT, f"NATS_CREDS: there is no file {why}", "name the file that holds the credentials")
        case "no-jetstream":
            return missing(
                SUBJECT, f"{url} has no JetStream for this account, and charts are kept there", "switch JetStream on"
            )
        case "silent":
            fix = "start it, or say where it is with NATS_URL"
            return missing(SUBJECT, f"{url} can't be reached: {why}", fix)


def shown(url: str) -> str:
    """Without a user and password that may stand in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
