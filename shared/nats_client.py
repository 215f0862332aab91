"""How to reach NATS, and as whom: the one place that reads the environment for it.

NATS_URL      nats://host:4222 or tls://host:4222; several with commas between them
NATS_CA       file with the certificates that vouch for the server; default: those of the system
NATS_CREDS    credentials file of a user (a JWT and its seed), where NATS is run by operators and accounts
NATS_NKEY     file with the seed of a user's nkey, where the server lists public keys
"""

import asyncio
import os
import ssl
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import nats.errors
import nkeys
import structlog
from nats.aio.client import Client

from shared.errors import RetryLater

DEFAULT = "nats://127.0.0.1:4222"
CONNECT = 5.0
PAUSE = 0.5
USER_SEED = "-----BEGIN USER NKEY SEED-----"
USER_JWT = "-----BEGIN NATS USER JWT-----"

log = structlog.get_logger()


class Unfit(RetryLater):
    """NATS won't have us as we come: a file is missing or a credential refused. The message names what to change."""


def options(environment: Mapping[str, str], url: str | None = None) -> dict[str, Any]:
    """What to connect with. Raises Unfit, naming the variable."""
    if environment.get("NATS_CREDS") and environment.get("NATS_NKEY"):
        raise Unfit("NATS_CREDS and NATS_NKEY are both set, and a connection has one user; unset one of them")
    servers = [each.strip() for each in (url or environment.get("NATS_URL") or DEFAULT).split(",")]
    found: dict[str, Any] = {"servers": servers}
    if environment.get("NATS_CA") or any(each.startswith("tls://") for each in servers):
        found["tls"] = _trust(environment.get("NATS_CA"))
    if path := environment.get("NATS_CREDS"):
        _check_credentials(path)
        found["user_credentials"] = path
    if path := environment.get("NATS_NKEY"):
        found["nkeys_seed_str"] = _seed(path)
    return found


def _trust(path: str | None) -> ssl.SSLContext:
    if path:
        _read("NATS_CA", path)
    try:
        return ssl.create_default_context(cafile=path or None)
    except ssl.SSLError as error:
        raise Unfit(f"NATS_CA: {path} holds no certificates in PEM: {error.reason}") from error


def _check_credentials(path: str) -> None:
    content = _read("NATS_CREDS", path)
    if USER_JWT not in content or USER_SEED not in content:
        raise Unfit(f"NATS_CREDS: {path} is no credentials file: it must hold a user's JWT and its seed, as nsc writes")


def _seed(path: str) -> str:
    seed = _read("NATS_NKEY", path).strip()
    try:
        nkeys.from_seed(bytearray(seed.encode()))
    except Exception as error:  # it has a family of its own, and what base32 throws besides
        raise Unfit(f"NATS_NKEY: {path} holds no nkey's seed; that begins with SU and stands alone") from error
    return seed


def _read(variable: str, path: str) -> str:
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Unfit(f"{variable}: {path} can't be read: {getattr(error, 'strerror', None) or error}") from error


async def connect(name: str, url: str | None = None) -> Client:
    """Reconnects for ever, once it was connected. Raises RetryLater, saying why it is not."""
    given = await asyncio.to_thread(options, os.environ, url)
    client, trouble = Client(), _Trouble()
    try:
        async with asyncio.timeout(CONNECT):
            await client.connect(
                **given,
                name=f"chandlery {name}",
                max_reconnect_attempts=-1,
                reconnect_time_wait=PAUSE,
                error_cb=trouble.note,
                disconnected_cb=_on_disconnected,
                reconnected_cb=_on_reconnected,
            )
    except (nats.errors.Error, TimeoutError, OSError) as error:
        await close(client)
        raise trouble.worst(error, given) from error
    except BaseException:
        await close(client)
        raise
    return client


async def close(client: Client) -> None:
    with suppress(nats.errors.Error, OSError):  # it says goodbye even to who is not there
        await client.close()


def why(error: Exception, given: Mapping[str, Any]) -> RetryLater:
    """What an attempt to connect came to, in words that say what to change."""
    where = ", ".join(given["servers"])
    chain = [error, error.__cause__, error.__context__]
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in chain):
        return Unfit(f"NATS at {where}: its certificate is not trusted: {error}; name the file of its CA in NATS_CA")
    told = str(error).lower()
    if isinstance(error, nats.errors.AuthorizationError) or "authorization" in told or "authentication" in told:
        told_by = {"user_credentials": "NATS_CREDS", "nkeys_seed_str": "NATS_NKEY"}
        used = [variable for option, variable in told_by.items() if option in given]
        fix = f"what {used[0]} names is not, or no longer, a user there" if used else "set NATS_CREDS or NATS_NKEY"
        return Unfit(f"NATS at {where} refuses the credentials: {fix}")
    if "secure connection" in told or "tls" in told:
        return Unfit(f"NATS at {where}: {error}; say tls:// in NATS_URL, and its CA in NATS_CA")
    return RetryLater(f"NATS at {where} can't be reached: {error!r}", after=2)


class _Trouble:
    """One for each attempt to connect; where those go on in the background, two lines tell of them."""

    def __init__(self) -> None:
        self._noted: deque[Exception] = deque(maxlen=20)

    async def note(self, error: Exception) -> None:
        self._noted.append(error)
        log.debug("nats", error=repr(error))

    def worst(self, error: Exception, given: Mapping[str, Any]) -> RetryLater:
        """Of several attempts, the one that tells what to change: a server that refuses may hang up without a word."""
        found = [why(each, given) for each in (*self._noted, error)]
        return next((each for each in found if isinstance(each, Unfit)), found[0])


async def _on_disconnected() -> None:
    log.info("not connected to NATS")


async def _on_reconnected() -> None:
    log.info("connected to NATS again")
