"""Whether functions answer: `python -m knative.answers NAME ...`, as `helm test` asks in a cluster."""

import argparse
import asyncio
import sys

import aiohttp

from shared.resources import SYSTEM_NAMESPACE

AT_ONCE = 4


def address(name: str) -> str:
    return f"http://{name}.{SYSTEM_NAMESPACE}.svc.cluster.local/healthz"


async def trouble(session: aiohttp.ClientSession, url: str, limit: float) -> str | None:
    """Why it doesn't answer in time; one that rests has to be woken first."""
    why = "no answer"
    try:
        async with asyncio.timeout(limit):
            while True:
                try:
                    async with session.get(url) as response:
                        if response.status == 200:
                            return None
                        why = f"answers {response.status}"
                except aiohttp.ClientError as error:
                    why = str(error)
                await asyncio.sleep(0.5)
    except TimeoutError:
        return why


async def silent(names: list[str], limit: float) -> dict[str, str]:
    turns = asyncio.Semaphore(AT_ONCE)
    async with aiohttp.ClientSession(trust_env=True) as session:

        async def ask(name: str) -> tuple[str, str | None]:
            async with turns:
                return name, await trouble(session, address(name), limit)

        return {name: why for name, why in await asyncio.gather(*map(ask, names)) if why}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m knative.answers", description=__doc__)
    parser.add_argument("name", nargs="+")
    parser.add_argument("--limit", type=float, default=60, help="seconds for each")
    arguments = parser.parse_args()
    found = asyncio.run(silent(arguments.name, arguments.limit))
    for name, why in found.items():
        print(f"{name}: {why}")
    print(f"{len(arguments.name) - len(found)} of {len(arguments.name)} answer")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
