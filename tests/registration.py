"""How fast charts become APIs, a part of `make bench`: the largest shapes of public charts, and many Offerings."""

import asyncio
import random
import subprocess
import tempfile
import time
from collections.abc import Callable
from typing import Any

import yaml

from knative.local.stack import Stack
from shared.charts import digest_of
from tests.archives import archive
from tests.e2e.world import World

SHAPES = {1474: 1, 3609: 6}
"""Properties of the largest public chart measured, alone and with its subcharts; and how many charts hold them."""
OFFERINGS = 200
AT_ONCE = 8

TEMPLATE = """apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-{{ .Chart.Name }}}
data: {values: {{ toYaml .Values | quote }}}
"""


def values(properties: int, seed: int) -> str:
    """values.yaml as the large public collections write it: documented in comments, mostly empty."""
    choose = random.Random(seed)  # noqa: S311 - nothing secret
    tree: dict[str, Any] = {}
    told = []
    for number in range(properties):
        path = (f"component{number // 100}", f"section{number // 10 % 10}", f"value{number % 10}")
        value: Any = choose.choice(["", "", "", [], [], {}, {}, "text", "8Gi", True, False, 8080, None])
        tree.setdefault(path[0], {}).setdefault(path[1], {})[path[2]] = value
        told.append(f"## @param {'.'.join(path)} What {path[2]} of the {path[1]} means for {path[0]} when it is set")
    return "\n".join(told) + "\n" + yaml.safe_dump(tree)


def large(properties: int, charts: int) -> bytes:
    each = properties // charts
    files: dict[str, str] = {
        "Chart.yaml": "apiVersion: v2\nname: large\nversion: 1.0.0\n",
        "values.yaml": values(properties - each * (charts - 1), 0),
        "templates/values.yaml": TEMPLATE,
    }
    for number in range(1, charts):
        folder = f"charts/part{number}"
        files[f"{folder}/Chart.yaml"] = f"apiVersion: v2\nname: part{number}\nversion: 1.0.0\n"
        files[f"{folder}/values.yaml"] = values(each, number)
        files[f"{folder}/templates/values.yaml"] = TEMPLATE
    return archive(files)


def push(stack: Stack, content: bytes) -> str:
    """With the command that `make up` puts beside kubectl; returns the digest."""
    with tempfile.NamedTemporaryFile(suffix=".tgz") as file:
        file.write(content)
        file.flush()
        command = [str(stack.layout.bin / "chandlery"), "push", file.name]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return digest_of(content)


async def offered(world: World, kind: str, chart: str | dict[str, Any], **spec: Any) -> float:
    started = time.perf_counter()
    await world.offered(kind, chart, **spec)
    return time.perf_counter() - started


async def registration(world: World, stack: Stack, memory: Callable[[], dict[str, int]]) -> dict[str, Any]:
    """Seconds from `kubectl apply` to Ready for each large shape; memory in kB for each of many small Offerings."""
    found: dict[str, Any] = {}
    for properties, charts in SHAPES.items():
        digest = push(stack, large(properties, charts))
        found[f"properties_{properties}_s"] = round(await offered(world, f"Large{properties}", {"archive": digest}), 2)
    await asyncio.sleep(5)
    before, started = memory(), time.perf_counter()
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with turns:
            await offered(world, f"Many{number}", "small", parameters=[{"path": "message"}])

    await asyncio.gather(*[one(number) for number in range(OFFERINGS)])
    took = time.perf_counter() - started
    await asyncio.sleep(5)
    after = memory()
    grown = {name: round((after[name] - before[name]) / OFFERINGS / 1000) for name in after}
    return found | {"offerings": OFFERINGS, "offerings_s": round(took, 1), "kb_an_offering": grown}
