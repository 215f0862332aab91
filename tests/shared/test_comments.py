"""What the comments of a values.yaml say: every form that charts use, and its ugly neighbours."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import comments, documents
from shared.errors import Refused
from shared.outline import outline
from shared.told import Names, Told
from shared.values import Path


def values_of(text: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for document in documents.load(text.encode(), "values.yaml", 200_000)[0]:
        values |= document or {}
    return values


def told(text: str) -> dict[Path, Told]:
    return comments.told(text, values_of(text))


def descriptions(text: str) -> dict[Path, str]:
    return {path: each.description for path, each in told(text).items()}


def remarks(text: str) -> dict[Path, str]:
    return {path: each.description for path, each in comments.remarks(text, values_of(text)).items()}


BROKER = r"""
# Copyright Example Ltd. All rights reserved.
# SPDX-License-Identifier: Apache-2.0

## @section Global parameters
## Shared with every subchart
##
## @param global.imageRegistry Registry that images come from
## @param global.pullSecrets [array, nullable] Names of pull secrets
##
global:
  imageRegistry: ""
  pullSecrets: null

## @section Broker
## @descriptionStart
## Anything about the broker.
## @descriptionEnd

## Image of the broker
## ref: https://example.com/images
##
## @param image.registry [default: REGISTRY_NAME] Registry of the image
## @param image.repository [default: REPOSITORY_NAME/broker] Repository of the image
## @skip image.tag
## @param image.digest Digest, such as sha256:aa.. (wins over the tag)
image:
  registry: docker.example.com
  repository: example/broker
  tag: 1.2.3
  digest: ""
## @param listeners Listeners
## @param listeners[0].name Name of the listener
## @param listeners[0].tls.enabled Whether it speaks [TLS](https://example.com/tls)
## @extra listeners[0].tls.ciphers [array] Ciphers, where the default won't do
listeners:
  - name: client
    tls:
      enabled: false
## @param podAnnotations.prometheus\.io/scrape [string] Whether metrics are fetched
## @param podAnnotations.prometheus.io/port Where from
podAnnotations:
  prometheus.io/scrape: "true"
  prometheus.io/port: "9404"
## @param resources [object] What a pod asks for
## @param resources.limits At most
## @param extra.gone Was removed long ago
## @extra extra.hidden Read by the chart though nobody sees it
resources: {}
extra:
  seen: 1
"""


def test_the_parameters_of_a_chart_in_the_style_of_bitnami() -> None:
    assert told(BROKER) == {
        ("global", "imageRegistry"): Told("Registry that images come from"),
        ("global", "pullSecrets"): Told("Names of pull secrets", ("array",), nullable=True),
        ("image", "registry"): Told("Registry of the image", default="REGISTRY_NAME"),
        ("image", "repository"): Told("Repository of the image", default="REPOSITORY_NAME/broker"),
        ("image", "digest"): Told("Digest, such as sha256:aa.. (wins over the tag)"),
        ("listeners",): Told("Listeners"),
        ("listeners", "[]", "name"): Told("Name of the listener"),
        ("listeners", "[]", "tls", "enabled"): Told("Whether it speaks [TLS](https://example.com/tls)"),
        ("listeners", "[]", "tls", "ciphers"): Told("Ciphers, where the default won't do", ("array",)),
        ("podAnnotations", "prometheus.io/scrape"): Told("Whether metrics are fetched", ("string",)),
        ("podAnnotations", "prometheus.io/port"): Told("Where from"),
        ("resources",): Told("What a pod asks for", ("object",)),
        ("resources", "limits"): Told("At most"),
        ("extra", "hidden"): Told("Read by the chart though nobody sees it"),
    }


def test_plain_comments_of_that_chart_are_remarks_where_no_tool_is_addressed() -> None:
    assert remarks(BROKER) == {("image",): "Image of the broker\nref: https://example.com/images"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("## @param a  Two spaces ", Told("Two spaces")),
        ("##@param a No space", Told("No space")),
        ("##\t@param\ta\tTabs", Told("Tabs")),
        ("# @param a One hash", Told("One hash")),
        ("## @param a", Told()),
        ("## @param a [string]", Told(types=("string",))),
        ("## @param a [string] [nullable] Two brackets", Told("Two brackets", ("string",), nullable=True)),
        ("## @param a [string,nullable] Packed", Told("Packed", ("string",), nullable=True)),
        ("## @param a [string, array] Either", Told("Either", ("string", "array"))),
        ("## @param a [default: 1, 2, nullable] Commas", Told("Commas", nullable=True, default="1, 2")),
        ("## @param a [default: []] Brackets", Told("Brackets", default="[]")),
        ('## @param a [default: ""] Empty', Told("Empty", default='""')),
        ("## @param a [Docs](https://example.com) no modifier", Told("[Docs](https://example.com) no modifier")),
        ("## @param a [beta] no modifier", Told("[beta] no modifier")),
        ("## @param a [[string] unbalanced", Told("[[string] unbalanced")),
        ("## @param a Grüße — 漢字 🚀", Told("Grüße — 漢字 🚀")),
        ("## @params a Another tag", Told()),
        ("## @param", Told()),
        ("## @skip a", Told()),
        ("## @disabled-param a Not yet", Told()),
        ("## see @param a in the docs", Told()),
    ],
)
def test_a_parameter_line_is_read_as_readme_generator_does(line: str, expected: Told) -> None:
    assert told(f"{line}\na: x\n").get(("a",), Told()) == expected


def test_of_a_parameter_that_is_documented_twice_the_first_text_counts() -> None:
    assert told("## @param a First\n## @param a [string] Second, pasted\na: 1\n") == {
        ("a",): Told("First", ("string",))
    }


def test_a_parent_and_its_child_are_described_apart() -> None:
    text = "## @param a [object] All of it\n## @param a.b.c One of it\na:\n  b:\n    c: 1\n"
    assert told(text) == {("a",): Told("All of it", ("object",)), ("a", "b", "c"): Told("One of it")}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a.b", ("a", "b")),
        ("a.x.y", ("a", "x.y")),
        (r"a.x\.y", ("a", "x.y")),
        ('a."x.y"', ("a", "x.y")),
        ('a["x.y"]', ("a", "x.y")),
        ("a['x.y']", ("a", "x.y")),
        ("a.x.y.z", ("a", "x.y", "z")),
        ("a.k8s.io/some-key", ("a", "k8s.io/some-key")),
        ("l[0].m[3].n", ("l", "[]", "m", "[]", "n")),
        ("l[].m", ("l", "[]", "m")),
        ("l.0.m", ("l", "[]", "m")),
        ("p.q.r", ("p.q", "r")),
        ("a..b", None),
        ("a.", None),
        ("a[b]", None),
        ("", None),
        ("nothing", None),
        ("a" * 1000, None),
    ],
)
def test_a_name_means_the_declared_path_with_the_longest_keys(name: str, path: Path | None) -> None:
    values = {
        "a": {"b": 1, "x.y": {"z": 1}, "k8s.io/some-key": 1},
        "l": [{"m": []}, {"m": [{"n": 1}]}],
        "p": {"q": {"r": 1}},
        "p.q": {"r": 2},
        "": 1,
    }
    assert Names(values).find(name) == path


QUEUE = """\
# -- Heads the file, so it is nobody's

# -- Number of replicas
replicas: 1

# -- (int) Port of the service,
# which may be taken
#
# Known uses:
# - web
# - metrics
# @default -- `8080`
# @section -- Network
# @notationType -- yaml
port:

# -- (optional) Words in brackets that are no type
# @ignored
mode: fast

service:
  # -- Type of the service
  type: ClusterIP   # a remark behind it
  # -- What is said of a key that is commented out
  # nodePort: 30000

  annotations: {}
# -- Trails a value, so it belongs to nobody

labels: {}

# -- Two blank lines are passed over


gapped: 1

users:
  # -- Whoever administers
  - name: root
    # -- Whether they may log in
    login: true
  # -- Never told: the first item counts
  - name: guest
  -
    # -- Where they live
    home: /root

# -- Described
# @raw
# line by line:
#   as it is
script: |
  # -- no comment
  # script -- no comment either
  ## @param replicas no comment at all
quoted: "a
  # -- still text
  b"
# -- After the text
after: 1
"""


def test_what_helm_docs_reads_above_a_key() -> None:
    assert told(QUEUE) == {
        ("replicas",): Told("Number of replicas"),
        ("port",): Told(
            "Port of the service, which may be taken\n\nKnown uses:\n- web\n- metrics", ("integer",), default="8080"
        ),
        ("mode",): Told("(optional) Words in brackets that are no type"),
        ("service", "type"): Told("Type of the service"),
        ("gapped",): Told("Two blank lines are passed over"),
        ("users", "[]"): Told("Whoever administers"),
        ("users", "[]", "login"): Told("Whether they may log in"),
        ("users", "[]", "home"): Told("Where they live"),
        ("script",): Told("Described\nline by line:\n  as it is"),
        ("after",): Told("After the text"),
    }


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("#  --   Spaces", Told("Spaces")),
        ("#-- None", Told("None")),
        ("#\t--\tTabs", Told("Tabs")),
        ("## -- Two", Told("Two")),
        ("# --(string)Packed", Told("Packed", ("string",))),
        ("# -- (string/null) May be nothing", Told("May be nothing", ("string",), nullable=True)),
        ("# -- (list or string) Either", Told("Either", ("array", "string"))),
        ("# -- (map[string]string) A map", Told("A map", ("object",))),
        ("# -- ([]string) A list", Told("A list", ("array",))),
        ("# -- (tpl/array) Text that becomes a list", Told("(tpl/array) Text that becomes a list")),
        ("# -- ", Told()),
        ("# --\n# Only below", Told("Only below")),
        ("# ----- Banner -----", Told()),
        ("# --verbose", Told()),
        ("# some words -- and more", Told()),
        ("# -- First\n# -- Second", Told("Second")),
        ("# -- Text\n# @default -- computed", Told("Text", default="computed")),
        ("# plain\n# -- Text", Told("Text")),
        ("# -- a, `b` and [c](d)   ", Told("a, `b` and [c](d)")),
    ],
)
def test_a_helm_docs_comment_is_read_however_it_is_spaced(comment: str, expected: Told) -> None:
    assert told(f"z: 0\n{comment}\na: x\n").get(("a",), Told()) == expected


def test_the_old_form_of_helm_docs_names_its_key_from_anywhere() -> None:
    text = """\
# a.b -- (string) What b is for,
# at length
# @default -- none
# a."x.y" -- Dotted
# l[0].m -- Of an item
# gone -- Is not declared
# a.b
a:
  # -- Loses against the other form
  b:
  x.y: 1
l:
  - m: 1
# a.b -- The last one counts
"""
    assert told(text) == {
        ("a", "b"): Told("The last one counts", ("string",), default="none"),
        ("a", "x.y"): Told("Dotted"),
        ("l", "[]", "m"): Told("Of an item gone -- Is not declared a.b"),
    }


STORE = """\
# yaml-language-server: $schema=values.schema.json
# @schema.root
# additionalProperties: false
# @schema.root
# @schema
# type: [string, null]
# enum: [small, large]
# required: true
# @schema
# How much there is
# of it
size: small

# @schema
# description: In the schema
# type: array
# items:
#   type: object
#   properties:
#     name: {type: null}
# default: []
# @schema
# -- For helm-docs
items: []

# -- Above the block
# @schema
# minimum: 1
# @schema
replicas: 1

host: "" # @schema type:[string, null]; pattern:^[a-z]+$; maxLength:63
# @schema enum:[ClusterIP, NodePort, 3, null];title: Of the service ; nullable
type: ClusterIP
ports: [80, 443] # @schema itemEnum:[80, 443];item:integer;minItems:1;uniqueItems
map: # @schema additionalProperties; required
  a: "# @schema type:object"
block: | # @schema type:string
  # @schema type:object
list:
  - name: x # @schema type:string
  - 5 # @schema type:integer
# @schema nonsense; minimum:x; maxLength:-1; uniqueItems:perhaps; pattern:
odd: 1
# @schema
# type: string
unclosed: 1

# @schema
# {not: yaml
# @schema
broken: 1
"""


def test_schemas_in_blocks_and_on_one_line() -> None:
    assert told(STORE) == {
        ("size",): Told(
            "How much there is of it",
            ("string",),
            nullable=True,
            schema={"type": ["string", "null"], "enum": ["small", "large"], "required": True},
        ),
        ("items",): Told(
            "In the schema",
            ("array",),
            schema={
                "description": "In the schema",
                "type": "array",
                "items": {"type": "object", "properties": {"name": {"type": "null"}}},
                "default": [],
            },
            default="[]",
        ),
        ("replicas",): Told("Above the block", schema={"minimum": 1}),
        ("host",): Told(
            types=("string",),
            nullable=True,
            schema={"type": ["string", "null"], "pattern": "^[a-z]+$", "maxLength": 63},
        ),
        ("type",): Told(
            nullable=True,
            schema={"enum": ["ClusterIP", "NodePort", 3, None], "title": "Of the service", "type": ["null"]},
        ),
        ("ports",): Told(
            schema={"items": {"enum": [80, 443], "type": "integer"}, "minItems": 1, "uniqueItems": True},
        ),
        ("map",): Told(schema={"additionalProperties": True, "required": True}),
        ("block",): Told(types=("string",), schema={"type": "string"}),
        ("list", "[]", "name"): Told(types=("string",), schema={"type": "string"}),
        ("list", "[]"): Told(types=("integer",), schema={"type": "integer"}),
    }


def test_all_forms_on_one_key_complete_each_other() -> None:
    text = """\
## @param a [nullable] The parameter's text
# @schema
# minimum: 3
# @schema
# -- (int) Not taken
# @default -- three
a:
"""
    assert told(text) == {
        ("a",): Told("The parameter's text", ("integer",), nullable=True, schema={"minimum": 3}, default="three")
    }


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_lines_may_end_as_they_like(end: str) -> None:
    text = end.join(["## @param a Of a", "a:", "  # -- Of b", "  # goes on", "  b: 1", "# Of c", "c: 2", ""])
    assert descriptions(text) == {("a",): "Of a", ("a", "b"): "Of b goes on"}
    assert remarks(text) == {("c",): "Of c"}


def test_keys_are_what_the_parser_makes_of_them() -> None:
    text = """\
# -- Quoted
"a.b": 1
# -- A number
1.0: x
# -- A truth
yes: x
# -- Nothing
~empty:
# -- Asked for
? c
: 1
# -- Tagged
d: !!str 5
# -- Anchored
e: &e {x: 1}
# -- Schlüssel
ключ: 1
flow: {
  # -- In a flow
  x: 1, y: 2
}
"""
    assert descriptions(text) == {
        ("a.b",): "Quoted",
        ("1",): "A number",
        ("true",): "A truth",
        ("~empty",): "Nothing",
        ("c",): "Asked for",
        ("d",): "Tagged",
        ("e",): "Anchored",
        ("ключ",): "Schlüssel",
        ("flow", "x"): "In a flow",
    }


def test_what_is_said_at_an_anchor_holds_wherever_it_is_used() -> None:
    text = """\
base: &base
  # -- How many
  count: 1
  deep:
    # -- How deep
    down: 1 # @schema type:integer
alias: *base
merged:
  <<: *base
  # -- How many of the merged
  count: 2
several:
  <<: [*base, {own: 1}]
items:
  - *base
"""
    deep = Told("How deep", ("integer",), schema={"type": "integer"})
    many = Told("How many")
    assert told(text) == {
        ("base", "count"): many,
        ("base", "deep", "down"): deep,
        ("alias", "count"): many,
        ("alias", "deep", "down"): deep,
        ("merged", "count"): Told("How many of the merged"),
        ("merged", "deep", "down"): deep,
        ("several", "count"): many,
        ("several", "deep", "down"): deep,
        ("items", "[]", "count"): many,
        ("items", "[]", "deep", "down"): deep,
    }


def test_of_a_key_that_is_there_twice_and_of_several_documents_the_last_counts() -> None:
    assert descriptions("# -- One\na: 1\n# -- Two\na: 2\n") == {("a",): "Two"}
    assert descriptions("# -- One\na: 1\n# -- B\nb: 1\n---\n# -- Two\na: 2\n") == {("a",): "Two", ("b",): "B"}


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("# How many replicas", "How many replicas"),
        ("## How many\n## replicas", "How many replicas"),
        ("#How many\n#\n#Second paragraph", "How many\n\nSecond paragraph"),
        ("# How many\n# replicas: 3", "How many"),
        ("# How many\n# Example:\n#   replicas: 3", "How many"),
        ("# How many, e.g.\n# - 3", "How many, e.g."),
        ("# Note: not too many", "Note: not too many"),
        ("# Of another\n# another: 1\n# How many", "How many"),
        ("# Of another\n# another:\n#   with: more", ""),
        ("# another: 1", ""),
        ("# - x", ""),
        ("  # further in", ""),
        ("  # further in\n# How many", "How many"),
        ("# How many\n", ""),
        ("# --------\n# Workload\n# --------", ""),
        ("######\n# Workload", ""),
        ("# ==== Workload ====", ""),
        ("# Copyright 2024 Somebody\n# How many", ""),
        ("# Default values for broker.\n# This is a YAML-formatted file.", ""),
        ("#", ""),
        ("# -- For helm-docs", ""),
        ("# Before\n# -- For helm-docs", "Before"),
        ("# replicas -- In the old form", ""),
        ("# @schema\n# type: integer\n# @schema\n# After", "After"),
    ],
)
def test_a_remark_is_taken_only_if_it_is_surely_of_the_key(comment: str, expected: str) -> None:
    assert remarks(f"z: 0\n{comment}\nreplicas: 1\n").get(("replicas",), "") == expected


def test_what_an_empty_map_could_hold_is_an_example_of_it() -> None:
    assert remarks("# Requests and limits\n# limits:\n#   cpu: 1\nresources: {}\n") == {
        ("resources",): "Requests and limits"
    }


@pytest.mark.parametrize(
    "text",
    [
        b"\xff\xfe",
        b"a: [",
        b"a: b: c",
        b"a: *nowhere",
        b"[a, b]: c",
        b"{{ template }}",
        b"%TAG ! x\n---\na: 1",
        b"[" * 10_000,
        b"a: &a [1]\n" + b"".join(b"b%d: &b%d [*b%d, *b%d]\n" % (i, i, i - 1, i - 1) for i in range(1, 40)),
        b"# -- x\n" * 400_000,
    ],
    ids=["bytes", "open", "colons", "alias", "list as key", "template", "TAG", "deep", "bomb", "large"],
)
def test_a_text_that_is_not_yaml_of_some_size_says_nothing(text: bytes) -> None:
    assert comments.told(text, {"a": 1}) == {} == comments.remarks(text, {"a": 1})


def test_a_large_chart_is_read_within_a_second_or_so() -> None:
    group = "".join(f'  # -- (string) Key {key}\n  # goes on here\n  k{key}: "v"\n' for key in range(40))
    text = "".join(f"## @param s{number} Group {number}\n##\ns{number}:\n{group}" for number in range(100))
    started = time.process_time()
    assert len(told(text)) == 4_100
    assert time.process_time() - started < 3


LINES = st.sampled_from(
    [
        *("a: 1", "a:", "b:", "  b: 2", "  a: x # @schema type:string", "- a: 1", "  - b", "c: |", "  text", "d: &d"),
        *("  <<: *d", "e: *d", "f: {a: 1, b: [2]}", "---", "", "'q.r': 1", '"s', "~: 1", "? a", ": b", "<<: [*d]"),
        *("# -- text", "  # -- (int) text", "# a.b -- text", "## @param a [string] text", "## @param a.b[0].c text"),
        *("## @extra a.x.y text", "# @schema", "# type: string", "  # @schema type:[a", "# @default -- x", "# plain"),
        *(
            "# a: 1",
            "\t# tab",
            "#",
            "##",
            "# \u2028\U0001f680",
            "- # -- text",
            "\ufeff# -- text",
            "&a b: 1",
            "!!x y: 2",
        ),
    ]
)


@settings(max_examples=400, deadline=2_000)
@given(st.lists(LINES, max_size=25).map("\n".join) | st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_read_and_every_path_is_declared_or_said_to_be_there(text: str) -> None:
    try:
        values = values_of(text)
    except (Refused, TypeError, ValueError):
        values = {"a": {"b": [{"c": 1}]}, "d": None}
    declared = Names(values).values
    assert set(comments.remarks(text, values)) <= set(declared)
    undeclared = set(comments.told(text, values)) - set(declared)
    assert not undeclared or "@extra" in text or "@param" in text


@given(st.text(), st.text(max_size=20))
def test_any_comment_is_read(comment: str, key: str) -> None:
    text = f"# -- {comment}\n# @schema {comment}\n## @param a {comment}\n## @extra {key} {comment}\na: 1\n"
    comments.told(text, {"a": 1})
    comments.remarks(text, {"a": 1})


def test_lines_are_counted_as_the_parser_counts_them() -> None:
    found = outline("a: 1\u2028# -- x\u0085b: 2\n# c\n")
    assert found is not None
    assert [entry.path for entry in found.entries] == [("a",), ("b",)]
