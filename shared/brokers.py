"""Sending events that are nobody's reply: to the address that a Broker's status names."""

import os
from collections.abc import Mapping
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import aiohttp
from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent

from shared.cluster import Cluster
from shared.errors import RetryLater
from shared.lifetime import opened
from shared.resources import BROKERS, SYSTEM_NAMESPACE

INGRESS = "CHANDLERY_INGRESS"
"""Where the Brokers' ingress is for somebody outside the cluster: a port-forward, say."""


def reached(address: str, ingress: str | None) -> str:
    """A Broker's address, by way of that ingress if there is one."""
    if not ingress:
        return address
    scheme, host, *_ = urlsplit(ingress)
    return urlunsplit((scheme, host, urlsplit(address).path, "", ""))


class Brokers:
    def __init__(
        self, cluster: Cluster, session: aiohttp.ClientSession, addresses: Mapping[str, str] | None = None
    ) -> None:
        """`addresses` are those that are known beforehand."""
        self._cluster = cluster
        self._session = session
        self._addresses = dict(addresses or {})

    @classmethod
    async def open(cls) -> Self:
        timeout = aiohttp.ClientTimeout(total=30)
        return cls(await opened(Cluster), aiohttp.ClientSession(trust_env=True, timeout=timeout))

    async def close(self) -> None:
        await self._session.close()

    async def send(self, broker: str, event: CloudEvent) -> None:
        headers, body = to_binary(event)
        try:
            async with self._session.post(await self._address(broker), data=body, headers=headers) as answer:
                if answer.status >= 300:
                    raise RetryLater(f"broker {broker} answered {answer.status}")
        except (aiohttp.ClientError, TimeoutError) as error:
            self._addresses.pop(broker, None)  # it may have moved
            raise RetryLater(f"broker {broker} can't be reached: {error!r}") from error

    async def _address(self, broker: str) -> str:
        if broker not in self._addresses:
            found = await self._cluster.get(BROKERS, broker, SYSTEM_NAMESPACE)
            url = (found or {}).get("status", {}).get("address", {}).get("url")
            if not url:
                raise RetryLater(f"broker {broker} has no address yet")
            self._addresses[broker] = reached(url, os.environ.get(INGRESS))
        return self._addresses[broker]
