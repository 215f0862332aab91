"""Passwords a chart wants handed back: which ones, read from the words it refuses an upgrade with. Pure.

Charts that make a password at the first install and can't look it up later refuse an upgrade until they are given the
current one, and print the commands for it: `--set auth.password=$PASSWORD` and
`export PASSWORD=$(kubectl get secret --namespace "ns" name -o jsonpath="{.data.password}" | base64 -d)`. What they
mean is done here instead of by a person.

A chart that makes a new password whenever it is rendered and refuses nothing can't be helped this way. Such a chart is
upgraded only when the spec, the Offering or the chart changed, never on a resync; a provider who wants to keep the
password pins it, or takes it from a Secret.
"""

import base64
import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from shared.offering import Values
from shared.values import Path, get, has, merge, nest

MESSAGE_LIMIT = 64 * 1024
ASKED_LIMIT = 32
READ_LIMIT = 128
FOREIGN_TYPES = ("helm.sh/release.v1", "kubernetes.io/service-account-token")
SHORTEST_HIDDEN = 4

_COMMAND = re.compile(r"\$\(\s*(kubectl\s[^|]{1,1000}?)\|\s*base64\s+(?:-d|-D|--decode)\s*\)")
_SET = re.compile(r"--set(?:-string|-literal)?[=\s]\s*[\"']?(?=[^\s\"'$])")
_ASSIGNMENT = re.compile(r",?((?:\\.|[^\s\\=,'\"$])+)=[\"']?(?:\$\{?(\w+)\}?|(?=\$\())[\"']?")
_VARIABLE = re.compile(r"(\w+)=[\"']?\Z")
_WHERE = re.compile(r"(?:execution error at \(|template: )([^\s:]+/templates/[^\s:]+):\d+")
_QUOTED = re.compile(r"'([^'\s]+)' must not be empty")
_FIELD = re.compile(r"\{\{?\s*\.data(?:\.(?P<plain>[^\s}\[]+)|\[['\"](?P<bracket>[^'\"]+)['\"]\])\s*\}\}?")
_INDEX = re.compile(r"\{\{\s*index\s+\.data\s+['\"]([^'\"]+)['\"]\s*\}\}")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
# What a consumer wrote may come back in the chart's words: nobody but the chart may ask.
_PLANTED = re.compile(r"--set\b|\bkubectl\b")

Found = dict[Path, str]
"""Passwords by the path of the value they are for."""


@dataclass(frozen=True)
class Asked:
    """The value at `path` is what stands under `key` in the Secret."""

    path: Path
    secret: str
    key: str


@dataclass(frozen=True)
class _Source:
    at: int
    variable: str | None
    namespace: str | None
    secret: str
    key: str


def asked_for(message: str, namespace: str) -> tuple[Asked, ...]:
    """What the message asks for, out of Secrets of this namespace; anything else is passed over."""
    message = message[:MESSAGE_LIMIT]
    sources = list(_sources(message))
    asked: dict[Path, Asked] = {}
    for at, path, variable in _wanted(message):
        source = _source_of(sources, at, variable)
        if source and path and source.namespace in (None, namespace):
            asked.setdefault(path, Asked(path, source.secret, source.key))
    return tuple(asked.values())[:ASKED_LIMIT]


def planted(values: Any) -> bool:
    """Whether a value holds such words itself: then nobody can tell who asks."""
    if isinstance(values, Mapping):
        return any(planted(key) or planted(value) for key, value in values.items())
    if isinstance(values, list):
        return any(planted(item) for item in values)
    return isinstance(values, str) and _PLANTED.search(values) is not None


def read(secret: Mapping[str, Any], key: str) -> str | None:
    """As `base64 -d` in $(...) gives it. What is no text, and what is no chart's Secret, can't be handed back."""
    if secret.get("type") in FOREIGN_TYPES:
        return None
    try:
        return base64.b64decode((secret.get("data") or {}).get(key, "")).decode().rstrip("\n") or None
    except ValueError:
        return None


def handed_back(values: Values, found: Mapping[Path, str]) -> Values:
    """With the passwords found, under everything that was set: only what is empty is filled in."""
    filled = values
    for path, password in found.items():
        if password and _free(values, path):
            filled = merge(filled, nest(path, password))
    return filled


def hidden(text: str, secrets: Collection[str]) -> str:
    """Without the passwords: a template or a schema may quote in its error what it was given."""
    for each in sorted(set(secrets), key=len, reverse=True):
        if len(each) >= SHORTEST_HIDDEN:
            text = text.replace(each, "***")
    return text


def _free(values: Values, path: Path) -> bool:
    """Nothing set there, nor anything in the way."""
    above = [path[:length] for length in range(1, len(path))]
    if any(has(values, each) and not isinstance(get(values, each), dict) for each in above):
        return False
    return get(values, path) in (None, "")


def _wanted(message: str) -> Iterator[tuple[int, Path, str | None]]:
    """Each `--set path=$VARIABLE`: where it stands, the path in the release's values, and the variable, if any."""
    inside = _subchart(message)
    for option in islice(_SET.finditer(message), READ_LIMIT):
        at = option.end()
        while assignment := _ASSIGNMENT.match(message, at):
            yield assignment.start(), _full(_steps(assignment[1]), inside, message[: option.start()]), assignment[2]
            at = assignment.end()


def _subchart(message: str) -> Path:
    """The subchart whose template speaks, as the start of a path: root/charts/cache/templates/secret.yaml."""
    found = _WHERE.search(message)
    if found is None:
        return ()
    folders = found[1].partition("/templates/")[0].split("/")
    return tuple(folders[index + 1] for index, name in enumerate(folders[:-1]) if name == "charts")


def _full(path: Path, inside: Path, before: str) -> Path:
    """A subchart knows only its own values: what it calls auth.password is cache.auth.password in ours.

    It quotes the name under which it looked; the one in the command may have the subchart's name before it, or not.
    """
    quoted = _QUOTED.findall(before)
    own = _steps(quoted[-1]) if quoted else ()
    if inside and own and path[-len(own) :] == own:
        return (*inside, *own)
    return path if not path or path[: len(inside)] == inside else (*inside, *path)


def _steps(path: str) -> Path:
    """As Helm's --set reads it: dots part, backslashes keep them. Items of lists are not handed back."""
    steps = [re.sub(r"\\(.)", r"\1", step) for step in re.findall(r"(?:\\.|[^.\\])+", path)]
    return () if "[" in path or not steps else tuple(steps)


def _sources(message: str) -> Iterator[_Source]:
    for command in islice(_COMMAND.finditer(message), READ_LIMIT):
        variable = _VARIABLE.search(message[max(0, command.start() - 128) : command.start()])
        found = _read(command[1])
        if found:
            namespace, secret, key = found
            # `--set a.b=$(kubectl ...)` names no variable: the word before = is the last step of a path
            yield _Source(command.start(), variable[1] if variable else None, namespace, secret, key)


def _source_of(sources: list[_Source], at: int, variable: str | None) -> _Source | None:
    """What fills the variable: charts reuse a name, so the next one after the place where it is asked for."""
    after = [each for each in sources if each.at >= at]
    if variable is None:
        return after[0] if after else None
    named = [each for each in after if each.variable == variable] or [
        each for each in reversed(sources) if each.variable == variable
    ]
    return named[0] if named else None


def _read(command: str) -> tuple[str | None, str, str] | None:
    """Namespace, Secret and key of `kubectl get secret ...`; None for any other command."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    options, rest = _sorted_out(words[1:])
    if rest[:1] != ["get"] or len(rest) < 2:
        return None
    kind, _, name = rest[1].partition("/")
    name = name or (rest[2] if len(rest) > 2 else "")
    key = _key(options.get("output", "") + options.get("template", ""))
    if kind not in ("secret", "secrets") or not _NAME.fullmatch(name) or key is None:
        return None
    return options.get("namespace"), name, key


_OPTIONS = {"-n": "namespace", "--namespace": "namespace", "-o": "output", "--output": "output"}
_OPTIONS |= {"--template": "template"}


def _sorted_out(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Options with their values, and the words that are none."""
    options: dict[str, str] = {}
    rest: list[str] = []
    left = iter(words)
    for word in left:
        name, equals, value = word.partition("=")
        short = word[:2] if not word.startswith("--") and word[:2] in _OPTIONS and len(word) > 2 else None
        if short:
            options[_OPTIONS[short]] = word[2:].removeprefix("=")
        elif name in _OPTIONS:
            options[_OPTIONS[name]] = value if equals else next(left, "")
        elif not word.startswith("-"):
            rest.append(word)
    return options, rest


def _key(output: str) -> str | None:
    """The one key that jsonpath={.data.some-key} or a Go template prints."""
    index = _INDEX.search(output)
    field = _FIELD.search(output)
    key = index[1] if index else field and (field["plain"] or field["bracket"])
    key = re.sub(r"\\(.)", r"\1", key).strip("'\"") if key else None
    return key if key and _KEY.fullmatch(key) else None
