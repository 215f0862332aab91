"""What a check found, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "missing", "limited", "unknown"]
"""`limited`: Chandlery works, less something; `unknown`: it could not be seen, or nobody can tell."""


@dataclass(frozen=True)
class Finding:
    subject: str
    state: State
    message: str
    fix: str = ""


def ok(subject: str, message: str) -> Finding:
    return Finding(subject, "ok", message)


def missing(subject: str, message: str, fix: str) -> Finding:
    return Finding(subject, "missing", message, fix)


def limited(subject: str, message: str, fix: str = "") -> Finding:
    return Finding(subject, "limited", message, fix)


def unknown(subject: str, message: str, fix: str = "") -> Finding:
    return Finding(subject, "unknown", message, fix)
