"""What the comments of a values.yaml say, as readme-generator (`## @param`), helm-docs (`# --`) and helm-schema
(`# @schema`) read them; and, for want of better, plain comments right above a key. Pure.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache

from shared import annotations
from shared.offering import Values
from shared.outline import Comment, Entry, Outline, Run, outline
from shared.told import ITEM, Names, Told, code, over, prose, typed, types_of
from shared.values import Path

LINE = 8192  # characters; a longer line is data

EMPTY: tuple[object, ...] = (None, {}, [])

Found = Iterable[tuple[Path, Told]]


def told(text: bytes | str, values: Values) -> dict[Path, Told]:
    """By path: of a declared value, or of one that the text says is there though it is not declared."""
    found = outline(text)
    if found is None:
        return {}
    names = Names(values)
    declared = names.values.keys()
    return _first(
        *((path, each) for path, each in _schemas(found) if path in declared),
        *_parameters(found, names),
        *_named(found, names),
        *((path, each) for path, each in _described(found, names) if path in declared),
    )


def remarks(text: bytes | str, values: Values) -> dict[Path, Told]:
    """Plain comments right above a key and as far in; nothing where they could be about something else."""
    found = outline(text)
    if found is None:
        return {}
    declared = Names(values).values
    above = {run.below: run for run in found.runs if run.touches}

    @cache
    def remark(line: int, key: str, empty: bool) -> Told:
        return Told(_remark(_own_lines(above[line], found.indent(line)), key, empty))

    return _first(
        *(
            (entry.path, remark(entry.line, entry.path[-1], declared[entry.path] in EMPTY))
            for entry in _heads(found)
            if entry.line in above and entry.path in declared and entry.path[-1] != ITEM
        )
    )


def _first(*found: tuple[Path, Told]) -> dict[Path, Told]:
    """What is found first counts, what is found later fills in."""
    result: dict[Path, Told] = {}
    for path, each in found:
        result[path] = over(result.get(path, Told()), each)
    return {path: each for path, each in result.items() if each != Told()}


def _body(comment: Comment) -> str:
    """A comment's text without its # and one space."""
    text = comment.text if len(comment.text) <= LINE else ""
    return re.sub(r"^#+[ \t]?", "", text).rstrip()


def _by_precedence(entries: list[Entry]) -> list[Entry]:
    """Of a key that is there twice the last counts, of a list the first item, and copies after originals."""
    own = [entry for entry in entries if not entry.copied]
    return [
        *(entry for entry in reversed(own) if ITEM not in entry.path),
        *(entry for entry in own if ITEM in entry.path),
        *(entry for entry in entries if entry.copied),
    ]


def _heads(found: Outline) -> list[Entry]:
    """What comments above a line are about."""
    return [entry for entry in _by_precedence(found.entries) if found.heads[entry.line] == entry.mark]


# helm-schema


def _schemas(found: Outline) -> Found:
    above = {run.below: [_body(each) for each in run.comments] for run in found.runs if run.touches}

    @cache
    def read(line: int, head: bool, tail: bool) -> Told | None:
        return _schema(above.get(line, []) if head else [], found.trailing(line) if tail else "")

    for entry in _by_precedence(found.entries):
        each = read(entry.line, found.heads[entry.line] == entry.mark, found.tails[entry.line] == entry.mark)
        if each:
            yield entry.path, each


def _schema(above: list[str], behind: str) -> Told | None:
    """Lines below a block are its description, if it has none and helm-docs has no claim to them."""
    lines = [*above, _body(Comment(0, 0, behind))] if behind else above
    read = annotations.read(lines)
    if read.told is None:
        return None
    claimed = any(_DOCUMENTS.match(line) or _TAG.match(line) for line in read.after)
    if read.told.description or claimed or annotations.TAG not in (line.strip() for line in above):
        return read.told
    return replace(read.told, description=prose(read.after))


# readme-generator

_PARAMETER = re.compile(r"@(param|extra)[ \t]+(\S+)[ \t]*(.*)")
_MODIFIER = re.compile(r"(default)[ \t]*:(.*)|(nullable|check|array|object|string|number|integer|boolean)[ \t]*")


def _parameters(found: Outline, names: Names) -> Found:
    for run in found.runs:
        for comment in run.comments:
            match = _PARAMETER.match(_body(comment).lstrip())
            path = _place(match[2], match[1] == "extra", names) if match else None
            if match and path:
                yield path, _modified(match[3])


def _place(name: str, extra: bool, names: Names) -> Path | None:
    """A parameter that is not declared is a mistake, unless nothing is declared where it would be: `resources: {}`."""
    path = names.find(name)
    if path:
        return path
    place = names.place(name)
    if place is None:
        return None
    path, parent = place
    return path if extra or (parent and names.values[parent] in EMPTY) else None


def _modified(text: str) -> Told:
    """`[string, nullable] description`. What is in brackets and no modifier is part of the description."""
    modifiers: dict[str, str] = {}
    while text.startswith("["):
        inner, rest = _bracketed(text)
        more = _modifiers(inner)
        if more is None:
            break
        modifiers |= more
        text = rest.lstrip()
    types = [word for word in modifiers if word not in ("default", "check", "nullable")]
    nullable = ["null"] if "nullable" in modifiers else []
    default = modifiers.get("default")
    return Told(description=text.strip(), default=default, **typed([*types, *nullable]))


def _bracketed(text: str) -> tuple[str, str]:
    """What is in the bracket that opens the text, and what is behind it."""
    depth = 0
    for position, character in enumerate(text):
        depth += (character == "[") - (character == "]")
        if depth == 0:
            return text[1:position], text[position + 1 :]
    return "", ""


def _modifiers(text: str) -> dict[str, str] | None:
    """By word, what is said of it; None where there is anything else. A default may have commas."""
    found: dict[str, str] = {}
    for part in text.split(","):
        match = _MODIFIER.fullmatch(part.strip())
        if match:
            found[match[1] or match[3].strip()] = (match[2] or "").strip()
        elif "default" in found:
            found["default"] += f",{part}"
        else:
            return None
    return found


# helm-docs

_DOCUMENTS = re.compile(r"[ \t]*--(?=[ \t(]|$)[ \t]*(.*)")
_TYPED = re.compile(r"\(([^()]*)\)[ \t]*(.*)")
_TAG = re.compile(
    r"[ \t]*@(param|extra|skip|section|sectionDescription|descriptionStart|descriptionEnd|disabled-param"
    r"|default|ignored?|notationType|raw|schema)(?![\w-])[ \t]*(?:--)?[ \t]*(.*)"
)

Statement = tuple[Path | None, list[str]]


def _statements(lines: list[str], names: Names) -> list[Statement]:
    """Each `-- description` (of what is below) and `a.b -- description`, with the lines that continue it."""
    statements: list[Statement] = []
    read = annotations.read(lines)
    for line in read.before + read.after:
        match = _DOCUMENTS.match(line)
        name, sep, rest = f"{line} ".partition(" -- ")
        path = names.find(name.strip()) if sep and not match else None
        if match:
            statements.append((None, [match[1]]))
        elif path:
            statements.append((path, [rest.strip()]))
        elif statements:
            statements[-1][1].append(line)
    return statements


def _named(found: Outline, names: Names) -> Found:
    """The last one counts, as it does for helm-docs."""
    for run in reversed(found.runs):
        for path, lines in reversed(_statements([_body(each) for each in run.comments], names)):
            if path:
                yield path, _document(lines)


def _described(found: Outline, names: Names) -> Found:
    by_line = {}
    for run in found.runs:
        statements = _statements([_body(each) for each in run.comments], names)
        mine = [lines for path, lines in statements if path is None]
        if run.below is not None and mine and (run.touches or _reaches(found, run, mine[-1])):
            by_line[run.below] = _document(mine[-1])
    for entry in _heads(found):
        if entry.line in by_line:
            yield entry.path, by_line[entry.line]


def _reaches(found: Outline, run: Run, lines: list[str]) -> bool:
    """helm-docs looks past blank lines, unless the comment heads the file or trails a value.

    So it gives what is said of a key that is commented out to the next one; here it is given to none.
    """
    first, last = run.comments[0], run.comments[-1]
    apart = first.line > 0 and not found.lines[first.line - 1].strip()
    same = run.below is not None and last.column == found.indent(run.below)
    return apart and same and not any(_YAML.match(line) for line in lines[1:])


def _document(lines: list[str]) -> Told:
    types: tuple[str, ...] = ()
    match = _TYPED.fullmatch(lines[0])
    if match:
        types = types_of(match[1]) or ()
    text = [match[2] if match and types else lines[0]]
    default, raw = None, False
    for line in lines[1:]:
        tag = _TAG.match(line)
        if tag is None:
            text.append(line)
        elif tag[1] == "default":
            default = code(tag[2])
        raw = raw or (tag is not None and tag[1] == "raw")
    return Told(description=prose(text, raw), default=default or None, **typed(types))


# plain comments

_TOOLS = re.compile(rf"{_TAG.pattern}|{_DOCUMENTS.pattern}|\S+ -- ")
_YAML = re.compile(r"""[ \t]*(?:-(?:[ \t]|$)|["']?([\w./-]+)["']?:(?:[ \t]|$))""")
_PROSE = {"note", "notes", "ref", "refs", "reference", "see", "warning", "important", "default", "defaults", "caution"}
_PROSE |= {"tip", "hint", "info", "deprecated", "options", "docs", "link", "todo", "attention", "optional", "required"}
_EXAMPLE = re.compile(r"[ \t]*(?:for )?(?:examples?|e\.g\.?|eg|ex|usage)\b", re.I)
_BANNER = re.compile(r"[#=*~_+-]{4,}")
_LEGAL = re.compile(r"(copyright|spdx-license|licensed under|apache license|all rights reserved)", re.I)
_PREAMBLE = re.compile(
    r"default values for |this is a yaml.formatted|declare (name/value|variables)|yaml-lang|vim:", re.I
)


def _remark(lines: list[str], key: str, empty: bool) -> str:
    """The text before an example of this key, or after the last example, which may be a key that is commented out."""
    first = next((index for index, line in enumerate(lines) if _is_example(line)), len(lines))
    text = prose(lines[:first])
    if text and (first == len(lines) or empty or _shows(lines[first], key)):
        return text
    last = max((index for index, line in enumerate(lines) if _is_example(line) or line.startswith("  ")), default=0)
    return prose(lines[last + 1 :])


def _own_lines(run: Run, indent: int) -> list[str]:
    """The comment as far in as the key, up to where tools are addressed; nothing of banners and licences."""
    strange = [index for index, each in enumerate(run.comments) if each.column != indent]
    comments = run.comments[strange[-1] + 1 :] if strange else run.comments
    if any(_BANNER.search(each.text) or _LEGAL.search(each.text) for each in comments):
        return []
    read = annotations.read([_body(each) for each in comments])
    lines = [line for line in read.before + read.after if not _PREAMBLE.match(line)]
    end = next((index for index, line in enumerate(lines) if _TOOLS.match(line)), len(lines))
    return lines[:end]


def _is_example(line: str) -> bool:
    match = _YAML.match(line)
    is_yaml = match is not None and (match[1] or "").lower() not in _PROSE
    return is_yaml or _EXAMPLE.match(line) is not None


def _shows(line: str, key: str) -> bool:
    """Whether an example is one of this key, not another key that is commented out."""
    match = _YAML.match(line)
    return _EXAMPLE.match(line) is not None or (match is not None and match[1] in (None, key))
