"""The dashboard of functions and sources asks for what they really export."""

import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from knative.local.layout import REPOSITORY
from tests.alone import alone

DASHBOARD: dict[str, Any] = json.loads((REPOSITORY / "knative/dashboards/functions.json").read_text())
PROCESSES = [("shared.serve",), ("knative.source", "instances"), ("knative.nats_source",)]
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def expressions() -> list[str]:
    asked = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return asked + [each["query"]["query"] for each in DASHBOARD["templating"]["list"] if each["type"] == "query"]


async def exported(folder: Path, *module: str) -> set[str]:
    async with (
        alone(folder, *module) as (url, _),
        aiohttp.ClientSession() as session,
        session.get(f"{url}/metrics") as answer,
    ):
        families = list(text_string_to_metric_families(await answer.text()))
    return {f"{each.name}{suffix}" for each in families for suffix in SUFFIXES.get(each.type, ())}


async def test_every_metric_it_asks_for_is_one_that_a_process_exports(tmp_path: Path) -> None:
    asked = set(re.findall(r"chandlery_\w+", " ".join(expressions())))
    there = set[str]().union(*[await exported(tmp_path, *each) for each in PROCESSES])
    assert (asked - there, len(asked) > 8) == (set(), True)


LABELS = {"function", "outcome", "le", "type", "answer", "reason", "state"}


@pytest.mark.parametrize("expression", expressions())
def test_it_asks_for_labels_that_there_are(expression: str) -> None:
    grouped = [name.strip() for names in re.findall(r"by \(([^)]*)\)", expression) for name in names.split(",")]
    chosen = re.findall(r"(\w+)=~?\"", expression)
    assert {*grouped, *chosen} <= LABELS


def test_its_panels_stand_side_by_side() -> None:
    taken = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) == 23
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
