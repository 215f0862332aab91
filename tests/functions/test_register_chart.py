"""When a chart is fetched and verified again, and when what is known of it holds."""

import hashlib
import json
from typing import Any

from shared.offering import ChartSource, Offering
from shared.sourcing import kept_digest, pinned, settled, source_hash
from tests.builders import offering

DIGEST = "sha256:" + "a" * 64
SIGNED = {"keyring": {"secretRef": {"name": "signers"}}}
RANGE = {"repository": "https://charts.example.com", "name": "postgres", "version": "^1"}


def source(**fields: Any) -> ChartSource:
    return ChartSource.model_validate({"url": "https://a.io/x.tgz", **fields})


def registered(chart: dict[str, Any], was: dict[str, Any] | None = None) -> Offering:
    """An Offering of this chart, whose status was written when its chart `was` another or the same."""
    known = {"version": "1.2.3", "digest": DIGEST, "source": source_hash(ChartSource.model_validate(was or chart))}
    return offering(chart=chart, status={"chart": known})


def test_whether_it_is_the_chart_that_was_asked_for_is_told_by_all_but_the_login() -> None:
    plain = source_hash(source())
    assert source_hash(source(auth={"secretRef": {"name": "login"}})) == plain
    others = [
        source(url="https://a.io/y.tgz"),
        source(digest=DIGEST),
        source(verify=SIGNED),
        source(verify={"keyring": {"secretRef": {"name": "others"}}}),
        source(verify={"cosign": {"secretRef": {"name": "signers"}}}),
    ]
    assert len({plain, *map(source_hash, others)}) == 1 + len(others)


def test_what_was_registered_before_there_were_signatures_is_not_fetched_again() -> None:
    fields = {"url": "https://a.io/x.tgz", **dict.fromkeys(["repository", "name", "version", "archive", "digest"])}
    before = json.dumps(fields, separators=(",", ":"))
    assert source_hash(source()) == hashlib.sha256(before.encode()).hexdigest()[:32]


def test_a_chart_is_verified_again_when_it_or_its_signers_change() -> None:
    pushed = {"archive": DIGEST}
    assert settled(registered({**pushed, "verify": SIGNED}))
    assert not settled(registered({**pushed, "verify": SIGNED}, was=pushed))
    assert not settled(
        registered({**pushed, "verify": SIGNED}, was={"archive": "sha256:" + "b" * 64, "verify": SIGNED})
    )


def test_a_range_is_resolved_once() -> None:
    known = registered(RANGE)
    assert kept_digest(known) == DIGEST
    assert pinned(known) == ChartSource.model_validate({**RANGE, "version": "1.2.3"})
    changed = registered({**RANGE, "version": "^2"}, was=RANGE)
    assert kept_digest(changed) is None
    assert pinned(changed) == ChartSource.model_validate({**RANGE, "version": "^2"})
    by_url = registered({"url": "https://a.io/x.tgz"})
    assert pinned(by_url) == by_url.spec.chart
