"""What releases are called, and when two are the same."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Refused
from shared.releases import name_for, named, namespace_for, release_for
from tests.builders import instance, offering


@given(st.text(max_size=300), st.text(min_size=1), st.sampled_from([53, 63]), st.booleans())
def test_a_name_is_always_a_dns_label_that_fits(text: str, unique: str, limit: int, always: bool) -> None:
    name = named(text, unique, limit, always_unique=always)
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
    assert len(name) <= limit


def test_a_name_that_fits_is_left_alone() -> None:
    assert named("orders", "uid", 53) == "orders"


def test_names_that_would_collide_do_not() -> None:
    long = "x" * 200
    assert named(long, "uid-1", 53) != named(long, "uid-2", 53)
    assert named("a-b", "uid-1", 63, always_unique=True) != named("a-b", "uid-2", 63, always_unique=True)


def test_the_release_namespace_says_whose_it_is() -> None:
    assert re.fullmatch(r"database-team-a-orders-[0-9a-f]{6}", namespace_for(offering(), instance()))


def test_a_living_instance_stays_where_it_is_when_the_template_changes() -> None:
    living = instance(status={"release": {"namespace": "old-place", "name": "old-name"}})
    moved = offering(release={"namespace": "new-$(instance.name)", "name": "new"})
    assert (namespace_for(moved, living), name_for(moved, living)) == ("old-place", "old-name")


def test_the_same_inputs_are_the_same_release_and_any_change_is_not() -> None:
    base = offering(parameters=[{"path": "size"}])
    same = release_for(base, instance(spec={"size": 1}))
    assert same == release_for(base, instance(spec={"size": 1}, generation=7))
    assert same.inputs != release_for(base, instance(spec={"size": 2})).inputs
    assert (
        same.inputs
        != release_for(offering(parameters=[{"path": "size"}], values={"x": 1}), instance(spec={"size": 1})).inputs
    )
    other_chart = {"conditions": [], "chart": {"digest": "sha256:" + "b" * 64}}
    assert (
        same.inputs
        != release_for(offering(parameters=[{"path": "size"}], status=other_chart), instance(spec={"size": 1})).inputs
    )


def test_without_a_registered_chart_there_is_no_release() -> None:
    with pytest.raises(Refused) as refused:
        release_for(offering(status={}), instance())
    assert refused.value.reason == "OfferingNotReady"


def test_values_may_name_the_release() -> None:
    found = offering(values={"host": "$(release.name).$(release.namespace)"})
    release = release_for(found, instance())
    assert release.values == {"host": f"{release.name}.{release.namespace}"}
