"""What Helm gives a post-renderer, in pieces: one for each object, in the text as Helm wrote it. Pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from shared import documents
from shared.manifests import NODES, Manifest, annotations, objects, wrong
from shared.placement import written

FILE = "postrenderer.helm.sh/postrender-filename"
"""Where Helm keeps the template's path meanwhile; it takes it away again."""

_SEPARATOR = re.compile(r"^---[ \t]*\n", re.MULTILINE)


@dataclass(frozen=True)
class Piece:
    text: str
    manifest: Manifest | None


def pieces(text: str) -> list[Piece]:
    """Raises Refused for what is no Kubernetes object. Costs seconds at the limit: call it in a thread."""
    left, found = NODES, []
    for part in _SEPARATOR.split(text):
        loaded, nodes = documents.load(part.encode(), "templates", left)
        left -= nodes
        made = [each for document in loaded if document is not None for each in objects(document, source(document))]
        if len(made) > 1:
            raise wrong(made[0].source, "renders a list that Helm did not take apart")
        found.append(Piece(part, made[0] if made else None))
    return found


def source(document: Any) -> str:
    """The template's path in the chart, as elsewhere: without the chart's name."""
    said = annotations(document).get(FILE) if isinstance(document, dict) else None
    return str(said).partition("/")[2] or "templates"


def text_of(text: str, found: list[Piece], change: Callable[[Manifest], dict[str, Any] | None]) -> str:
    """What is not changed stays as it was written."""
    after = [_changed(each, change) for each in found]
    return text if after == found else "---\n".join(each.text for each in after)


def _changed(each: Piece, change: Callable[[Manifest], dict[str, Any] | None]) -> Piece:
    body = change(each.manifest) if each.manifest else None
    if body is None or (each.manifest and body == each.manifest.body):
        return each
    return replace(each, text=written(body))
