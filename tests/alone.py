"""One of our processes on its own: no API server, no NATS and no Broker that answers."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from knative.local.layout import REPOSITORY
from knative.local.waiting import listening
from tests.ports import free_range

AWAY = "127.0.0.1:9"
KUBECONFIG: dict[str, Any] = {
    "clusters": [{"name": "away", "cluster": {"server": f"http://{AWAY}"}}],
    "contexts": [{"name": "away", "context": {"cluster": "away", "user": "somebody"}}],
    "current-context": "away",
    "users": [{"name": "somebody", "user": {}}],
}


@asynccontextmanager
async def alone(folder: Path, *module: str, **environment: str) -> AsyncIterator[tuple[str, int]]:
    """Its URL and process id, until it is told to stop as Kubernetes does it."""
    kubeconfig, port = folder / "kubeconfig", free_range()
    kubeconfig.write_text(json.dumps(KUBECONFIG))
    away: Mapping[str, str] = {
        "KUBECONFIG": str(kubeconfig),
        "K_SINK": f"http://{AWAY}",
        "NATS_URL": f"nats://{AWAY}",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *module, f"--port={port}"),
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], **away, **environment},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(60):
            while not listening(port):  # noqa: ASYNC110 another process
                await asyncio.sleep(0.1)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            await process.wait()
