"""What a kubelet says an instance consumed, held against what its pod knows it used.

The bounds are the kubelet's own error, as docs/node.md states it. What the ledger makes of these figures is to be
compared here, too, with the same `Load`.
"""

from collections.abc import Callable

import pytest

from tests.e2e.world import Object
from tests.node.load import SAMPLED, Load

pytestmark = pytest.mark.node

MIB = 1 << 20


async def told(load: Load, figure: Callable[[Object], float], least: float) -> float:
    """A figure of the pod, once a sample has it."""

    async def seen() -> float | None:
        said = load.said()
        try:
            found = figure(said) if said else 0
        except (KeyError, StopIteration):
            return None  # the first samples of a pod lack what nobody has looked at yet
        return found if found >= least else None

    return await load.world.eventually(seen, f"at least {least:g} is told", limit=SAMPLED)


def claimed(said: Object) -> Object:
    """The volume behind the pod's only claim."""
    return next(each for each in said["volume"] if "pvcRef" in each)


async def test_cpu_time_is_what_the_process_used(load: Load) -> None:
    used = load.used()["cpu_seconds_total"]
    found = await told(load, lambda said: said["containers"][0]["cpu"]["usageCoreNanoSeconds"] / 1e9, used)
    assert 5.0 <= used <= found <= used + 0.25


async def test_the_pod_is_charged_for_its_sandbox_too_and_no_more(load: Load) -> None:
    used = load.used()["cpu_seconds_total"]
    found = await told(load, lambda said: said["cpu"]["usageCoreNanoSeconds"] / 1e9, used)
    assert used <= found <= used + 0.5


async def test_memory_is_what_is_held_and_some_cache(load: Load) -> None:
    held = load.used()["held_bytes"]
    found = await told(load, lambda said: said["memory"]["workingSetBytes"], held)
    assert 40 * MIB == held <= found <= held + 48 * MIB


async def test_bytes_served_are_bytes_sent_and_their_headers(load: Load) -> None:
    sent = (await told(load, lambda said: said["network"]["txBytes"], 1)) + 50 * MIB
    load.serve(50 * MIB)
    found = await told(load, lambda said: said["network"]["txBytes"], sent)
    assert sent <= found <= sent + 5 * MIB


async def test_a_volume_is_as_full_as_it_was_filled(load: Load) -> None:
    filled = load.used()["filled_bytes"]
    found = await told(load, lambda said: claimed(said)["usedBytes"], filled)
    assert 30 * MIB == filled <= found <= filled + MIB


async def test_a_volume_is_known_by_its_claim_and_has_its_size(load: Load) -> None:
    await told(load, lambda said: claimed(said)["capacityBytes"], 1)
    volume = claimed(load.said() or {})
    assert volume["pvcRef"] == {"name": load.name, "namespace": load.namespace}
    assert 0.8 * 64 * MIB <= volume["capacityBytes"] <= 64 * MIB  # less what the file system keeps for itself
