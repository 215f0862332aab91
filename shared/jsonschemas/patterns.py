"""Regular expressions from strangers, by the engine that Helm and the API server use too (Go's is RE2's twin).

RE2 knows no backtracking: what it can't compile (lookaheads, backreferences), Helm can't either; what it compiles takes
time in proportion to the text. What the two might understand differently is taken for not compilable.
"""

import re
from functools import lru_cache
from typing import Any

import re2

LENGTH = 1024
MEMORY = 1 << 20

_CATEGORIES = set(re.findall("[A-Z][a-z]?", "LLuLlLtLmLoMMnMcMeNNdNlNoPPcPdPsPePiPfPoSSmScSkSoZZsZlZp"))
_PROPERTY = re.compile(r"\\[pP](?:\{\^?([^}]*)\}|(.))", re.S)


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MEMORY
    return options


@lru_cache(1024)
def compiled(pattern: str) -> Any | None:
    """None for what Helm or the API server might not take."""
    named = [braced or single for braced, single in _PROPERTY.findall(pattern)]
    if len(pattern) > LENGTH or "\\C" in pattern or not set(named) <= _CATEGORIES:
        return None
    try:
        return re2.compile(pattern, _options())
    except (re2.error, UnicodeEncodeError):
        return None


def matches(pattern: Any, text: str) -> bool:
    """Anywhere in the text, as JSON Schema means it."""
    return pattern.search(text.encode(errors="replace").decode()) is not None


def one_of(words: tuple[str, ...]) -> str:
    """A pattern that exactly these match."""
    return "^(?:" + "|".join(re2.escape(word) for word in words) + ")$"
