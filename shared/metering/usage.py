"""What was used: amounts by instance and metric, summed up as one likes. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from events.readings import Type

Dimension = Literal["instance_uid", "instance", "offering", "plan", "consumer_namespace", "consumer"]
Filter = Mapping[Dimension, Collection[str]]


class Tenure(NamedTuple):
    """An instance while one consumer has it under one plan. Empty where nothing is known."""

    instance_uid: str = ""
    instance: str = ""
    offering: str = ""
    plan: str = ""
    consumer_namespace: str = ""
    consumer: str = ""


class Usage(NamedTuple):
    """`amount`: a counter's units (core-nanoseconds, bytes, thousandths), or a gauge's units x milliseconds.

    `gap_ms` is for how long nothing was read, over all pods and volumes together: a gauge adds nothing in it.
    """

    tenure: Tenure
    metric: str
    type: Type
    amount: int
    gap_ms: int


class Sum(NamedTuple):
    by: tuple[str, ...]
    metric: str
    type: Type
    amount: int
    gap_ms: int


def summed(found: Iterable[Usage], by: Sequence[Dimension]) -> list[Sum]:
    sums: dict[tuple[tuple[str, ...], str, Type], tuple[int, int]] = {}
    for each in found:
        key = (tuple(getattr(each.tenure, name) for name in by), each.metric, each.type)
        amount, gap = sums.get(key, (0, 0))
        sums[key] = (amount + each.amount, gap + each.gap_ms)
    return [Sum(*key, *amounts) for key, amounts in sorted(sums.items())]


def chosen(tenure: Tenure, where: Filter) -> bool:
    return all(getattr(tenure, name) in values for name, values in where.items())
