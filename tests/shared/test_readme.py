"""What a chart's README says of its values."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import readme
from shared.told import Names, Told

VALUES: dict[str, Any] = {
    "replicas": 1,
    "image": {"registry": "", "tag": "1"},
    "ingress": {"hosts": [{"name": "x"}], "annotations": {"example.com/x": "y"}},
    "resources": {},
    "port": None,
    "timeout": 5,
}

BROKER = r"""
# Broker

| Name | Email | Url |
| ---- | ----- | --- |
| image | someone@example.com | <https://example.com> |

## Parameters

| Name                           | Description                            | Value       |
| ------------------------------ | -------------------------------------- | ----------- |
| `replicas`                     | How many, `a\|b`, see [there](#there)  | `1`         |
| `image.registry`               | Registry of the image<br />or `""`     | `REGISTRY`  |
| `image.tag`                    | Never "latest" \*                      | `""`        |
| `ingress.hosts[0].name`        | Name &lt;of&gt; a host                 | `x`         |
| `ingress.annotations.example\.com/x` | With a dot                       | `y`         |
| `resources.limits`             | Is not declared                        | `{}`        |
| `existingSecret`               | Nor is this                            |             |

```
| Name | Description |
| ---- | ----------- |
| `timeout` | Not in code |
```

| Name | Description |
| ---- | ----------- |
| FOO_BAR | A variable of the environment |
| BAZ | Another |
| timeout | Declared, though in a table of something else |
"""


def test_the_tables_of_readme_generator() -> None:
    assert readme.told(BROKER, VALUES) == {
        ("replicas",): Told("How many, `a|b`, see [there](#there)", default="1"),
        ("image", "registry"): Told('Registry of the image\nor `""`', default="REGISTRY"),
        ("image", "tag"): Told('Never "latest" *', default='""'),
        ("ingress", "hosts", "[]", "name"): Told("Name <of> a host", default="x"),
        ("ingress", "annotations", "example.com/x"): Told("With a dot", default="y"),
        ("resources", "limits"): Told("Is not declared", default="{}"),
        ("existingSecret",): Told("Nor is this"),
        ("timeout",): Told("Declared, though in a table of something else"),
    }


QUEUE = """\
## Values

| Key | Type | Default | Description |
|-----|------|---------|-------------|
| image.tag | string | `"1"` | Tag |
| ingress.annotations."example.com/x" | string | `"y"` | With a dot |
| ingress.hosts | list | `[{"name":"x"}]` |  |
| port | string | `nil` | A port |
| replicas | int | `1` | (int) How many |
| resources | object | computed | Anything |
| timeout | tpl/array | `5` |  |
"""


def test_the_table_of_helm_docs() -> None:
    assert readme.told(QUEUE, VALUES) == {
        ("image", "tag"): Told("Tag", ("string",), default='"1"'),
        ("ingress", "annotations", "example.com/x"): Told("With a dot", ("string",), default='"y"'),
        ("ingress", "hosts"): Told(types=("array",), default='[{"name":"x"}]'),
        ("port",): Told("A port", default="nil"),
        ("replicas",): Told("(int) How many", ("integer",), default="1"),
        ("resources",): Told("Anything", ("object",), default="computed"),
        ("timeout",): Told(default="5"),
    }


HTML = """\
<table>
	<thead>
		<th>Key</th>
		<th>Type</th>
		<th>Default</th>
		<th>Description</th>
	</thead>
	<tbody>
		<tr>
			<td id="image--tag"><a href="./values.yaml#L3">image.tag</a></td>
			<td>

string

</td>
			<td><pre lang="json">
"1"
</pre>
</td>
			<td>Tag of the <code>image</code> &amp; more</td>
		</tr>
		<tr>
			<td>replicas</td><td>int</td><td></td><td>How<br/>many</td>
		</tr>
	</tbody>
</table>
"""


def test_the_html_table_of_helm_docs() -> None:
    assert readme.told(HTML, VALUES) == {
        ("image", "tag"): Told("Tag of the `image` & more", ("string",), default='"1"'),
        ("replicas",): Told("How\nmany", ("integer",)),
    }


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        ("Parameter | Description | Default", "`replicas` | How many | `1`", Told("How many", default="1")),
        ("Option | Default value | Description", "replicas | 1 | How many", Told("How many", default="1")),
        ("Default | Description | Key", "1 | How many | replicas", Told("How many", default="1")),
        ("Value | Description | Default", "replicas | How many | 1", Told("How many", default="1")),
        ("**Configuration** | _Description_", "**replicas** | How many", Told("How many")),
        ("Parameters | Descriptions | Defaults", "replicas | How many | 1", Told("How many", default="1")),
        ("Name | Description", "[`replicas`](#replicas) | How many", Told("How many")),
        ("Name | Description", "`.Values.replicas` | How many", Told("How many")),
        ("Name | Description", "<code>replicas</code> | How many", Told("How many")),
        ("Name | Description | Value", "`replicas` | How many", Told("How many")),
        ("Name | Description", "`replicas` | How many | too | many", Told("How many")),
        ("Name | Type | Description", "`replicas` | `integer` or `null` | N", Told("N", ("integer",), nullable=True)),
        ("Name | Version", "`replicas` | 1", Told()),
        ("Description | Default", "replicas | 1", Told()),
    ],
)
def test_columns_go_by_their_names(header: str, row: str, expected: Told) -> None:
    dashes = " | ".join("---" for _ in header.split("|"))
    text = f"| {header} |\n| {dashes} |\n| {row} |\n"
    assert readme.told(text, VALUES).get(("replicas",), Told()) == expected
    assert readme.told(text.replace("\n", "\r\n").encode(), VALUES).get(("replicas",), Told()) == expected


def test_of_a_value_in_two_tables_the_first_counts_and_the_second_completes() -> None:
    first = "| Name | Description |\n| - | - |\n| replicas | First |\n"
    second = "\n| Name | Description | Default |\n| - | - | - |\n| replicas | Second | 1 |\n"
    assert readme.told(first + second, VALUES) == {("replicas",): Told("First", default="1")}


def test_rows_that_are_no_names_are_passed_over() -> None:
    rows = ["replicas | Yes", "some words | No", "`a b` | No", " | No", "image.tag.deeper | No", "... | No"]
    text = "| Name | Description |\n| - | - |\n" + "".join(f"| {row} |\n" for row in rows[:2] + rows[3:])
    assert readme.told(text + "| image.tag | Yes |\n| port | Yes |\n", VALUES) == {
        (name,) if "." not in name else ("image", "tag"): Told("Yes") for name in ("replicas", "image.tag", "port")
    }


@pytest.mark.parametrize(
    "text",
    [
        "x" * (readme.LIMIT + 1),
        "| Name | Description |\n|-|-|\n" + "| replicas | x |\n" * readme.CELLS,
        "|Name|\n|-|\n" + "replicas\n" * readme.LINES,
        "<table>" + "<td>" * readme.TAGS,
        b"\xff\xfe\x00",
    ],
    ids=["long", "many cells", "many lines", "many tags", "bytes"],
)
def test_what_is_no_readme_of_some_size_says_nothing(text: str | bytes) -> None:
    assert readme.told(text, VALUES) == {}


@pytest.mark.parametrize(
    "text",
    [
        ">" * 1_000_000,
        "a|b\n-|-\n" * 14_900,
        "-|-\n" * 29_000,
        "| Name | Description |\n|-|-|\n| replicas | x" + " " * 900_000 + "y |\n",
        "| Name | Description |\n|-|-|\n| replicas | " + "[a](" * 200_000 + " |\n",
        "| Name | Description |\n|-|-|\n| replicas | " + "`" * 900_000 + " |\n",
        "<table><td>" + "<a " * 50_000,
        "<table><td>" + "<!--" * 50_000,
        "<table><a" + " a='b'" * 150_000,
    ],
    ids=["quotes", "tables", "rules", "spaces", "links", "ticks", "tags", "comments", "attributes"],
)
def test_no_text_takes_long(text: str) -> None:
    started = time.process_time()
    readme.told(text, VALUES)
    assert time.process_time() - started < 5


PIECES = st.sampled_from(
    [
        *("| Name | Description |\n", "|-|-|\n", "| replicas | x |\n", "| image.tag | `y` |\n", "| new.one | z |\n"),
        *(
            "<table>",
            "<tr>",
            "<td>",
            "</td>",
            "Key",
            "Description",
            "replicas",
            "</table>",
            "<br>",
            "\n",
            "```\n",
            "- ",
        ),
    ]
)


@settings(deadline=2_000)
@given(st.lists(PIECES, max_size=30).map("".join) | st.text())
def test_any_text_is_read_and_most_of_what_it_names_is_declared(text: str) -> None:
    told = readme.told(text, VALUES)
    # A table within a table has a header that is a row like others.
    assert set(told) <= {*Names(VALUES).values, ("new", "one"), ("Name",)} or "<t" in text


@given(st.text(), st.text())
def test_any_cell_is_read(name: str, description: str) -> None:
    readme.told(f"| Name | Description |\n|-|-|\n| {name} | {description} |\n", VALUES)
    readme.told(f"<table><tr><td>Name<td>Default</tr><tr><td>{name}</td><td>{description}</td>", VALUES)
