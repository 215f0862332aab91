"""Kubernetes' quantities, exactly. Pure."""

import re
from decimal import Decimal
from typing import Any

from kubernetes.utils.quantity import parse_quantity

_GRAMMAR = re.compile(r"[+-]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?")
BINARY = ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki")


def quantity(value: Any) -> Decimal | None:
    """None for what is no quantity. The library alone would take NaN, and numbers without end."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value)
    if not _GRAMMAR.fullmatch(text):
        return None
    return Decimal(parse_quantity(text))


def shown(amount: Decimal, resource: str) -> str:
    """As a person would write it: 250m, 1.5, 3Gi."""
    if "cpu" in resource:
        return f"{_plain(amount * 1000)}m" if amount % 1 else _plain(amount)
    if any(word in resource for word in ("memory", "storage", "hugepages")):
        for power, suffix in zip(range(6, 0, -1), BINARY, strict=True):
            if amount and amount % 1024**power == 0:
                return f"{_plain(amount / 1024**power)}{suffix}"
    return _plain(amount)


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
