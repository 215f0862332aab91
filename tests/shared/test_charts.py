"""What is read from a chart, and what is refused: all in memory, and the same as Helm says where Helm can be asked."""

import gzip
import json
import subprocess
import tarfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import charts, documents
from shared.errors import Refused
from shared.folder import pack
from tests.shared.archives import CHART, Change, archive, chart

EXAMPLES = Path(__file__).parents[2] / "examples/charts"
MIB = 1024 * 1024


def refused(content: bytes) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        charts.inspect(content)
    return caught.value.reason, caught.value.message


def test_a_chart_says_who_it_is() -> None:
    metadata = CHART + "appVersion: 1.10\ndescription: Says hello\n"
    files = {"values_yaml": "a: {b: 1, c: null}\n", "crds__things_yaml": "kind: X\n", "README.md": "# Hello"}
    content = chart(Chart_yaml=metadata, **files)
    assert charts.inspect(content) == charts.Chart(
        name="hello",
        version="1.2.3",
        app_version="1.1",  # a number, for Helm as well
        description="Says hello",
        digest=charts.digest_of(content),
        values={"a": {"b": 1, "c": None}},
        parts=(charts.Part((), "hello", {"a": {"b": 1, "c": None}}, b"a: {b: 1, c: null}\n", b"# Hello", None),),
        crds={"crds/things.yaml": b"kind: X\n"},
    )


def test_values_of_subcharts_stand_under_their_name_or_alias_and_the_parents_win() -> None:
    grandchild = archive(
        {"leaf/Chart.yaml": "name: leaf\nversion: 1\n", "leaf/values.yaml": "deep: 1\nglobal: {g: leaf}"}
    )
    content = chart(
        Chart_yaml=CHART + "dependencies: [{name: cache, version: 0.x, alias: store}]\n",
        values_yaml="store: {size: 2, extra: null, leaf: {deep: 5}}\nglobal: {g: top}\n",
        charts__cache__Chart_yaml="apiVersion: v2\nname: cache\nversion: 0.3.0\n",
        charts__cache__values_yaml="size: 1\nport: 80\nextra: {a: 1}\n",
        charts__cache__charts__leaf_tgz=grandchild,
        charts__extra__Chart_yaml="apiVersion: v2\nname: extra\nversion: 0.1.0\ntype: library\n",
        charts___hidden__values_yaml="not: read",
    )
    assert charts.inspect(content).values == {
        "global": {"g": "top"},
        "store": {"size": 2, "port": 80, "extra": None, "leaf": {"deep": 5, "global": {"g": "leaf"}}},
        "extra": {},
    }


def test_each_part_says_where_its_values_stand_what_switches_it_and_what_its_parent_takes_from_it() -> None:
    dependency = (
        "dependencies: [{name: cache, version: 0.x, alias: store, tags: [extras],"
        " condition: 'store.enabled, caches.on',"
        " import-values: [data, {child: deep.er, parent: mine}]}]\n"
    )
    content = chart(
        Chart_yaml=CHART + dependency,
        charts__cache__Chart_yaml="apiVersion: v2\nname: cache\nversion: 0.3.0\n"
        "dependencies: [{name: leaf, condition: leaf.enabled}]\n",
        charts__cache__values_schema_json="{}",
        charts__cache__charts__leaf__Chart_yaml="name: leaf\nversion: 1.0.0\n",
    )
    root, store, leaf = charts.inspect(content).parts
    assert root.imports == (
        charts.Import(("store", "exports", "data"), ()),
        charts.Import(("store", "deep", "er"), ("mine",)),
    )
    assert (store.at, store.name, store.schema) == (("store",), "cache", b"{}")
    assert store.switches == (("store", "enabled"), ("caches", "on"), ("tags", "extras"))
    assert (leaf.at, leaf.switches) == (("store", "leaf"), (("store", "leaf", "enabled"),))


def test_an_old_chart_declares_its_dependencies_in_a_file_of_their_own() -> None:
    parts = {"Chart_yaml": "name: hello\nversion: 1.0.0\n", "requirements_yaml": "dependencies: [{name: cache}]\n"}
    assert refused(chart(**parts))[0] == "MissingDependencies"
    vendored = chart(**parts, charts__cache__Chart_yaml="name: cache\nversion: 1.0.0\n")
    assert charts.inspect(vendored).values == {"cache": {}}


def test_several_documents_of_values_are_merged() -> None:
    assert charts.inspect(chart(values_yaml="a: {b: 1}\n---\na: {c: 2}\n")).values == {"a": {"b": 1, "c": 2}}


def becomes(kind: bytes, target: str = "") -> Change:
    def change(entry: tarfile.TarInfo) -> None:
        entry.type, entry.linkname = kind, target

    return change


def plain(_entry: tarfile.TarInfo) -> None: ...


HELLO: dict[str, str | bytes] = {"hello/Chart.yaml": CHART}


@pytest.mark.parametrize(
    ("content", "reason", "says"),
    [
        pytest.param(b"", "NotAChart", "not a gzipped tar archive", id="nothing"),
        pytest.param(b"<html>", "NotAChart", "not a gzipped tar archive", id="a web page"),
        pytest.param(
            gzip.compress(b"hello" * 999), "NotAChart", "not a gzipped tar archive", id="gzip of something else"
        ),
        pytest.param(chart()[:-20], "NotAChart", "not a gzipped tar archive", id="cut off"),
        pytest.param(b"\0" * (20 * MIB + 1), "ArchiveTooLarge", "more than 20 MiB", id="too many bytes"),
        pytest.param(
            chart(big=b"\0" * (5 * MIB + 1)), "ArchiveTooLarge", "'hello/big' has more than 5 MiB", id="a big file"
        ),
        pytest.param(
            archive(HELLO | {f"hello/{n}": b"\0" * 5 * MIB for n in range(21)}),
            "ArchiveTooLarge",
            "more than 100 MiB",
            id="a bomb",
        ),
        pytest.param(
            archive(HELLO, *[(f"hello/{n}", plain) for n in range(10_000)]),
            "ArchiveTooLarge",
            "more than 10000 entries",
            id="many entries",
        ),
        pytest.param(archive({"/hello/Chart.yaml": CHART}), "UnsafePath", "is an absolute path", id="absolute"),
        pytest.param(archive({"C:/hello/Chart.yaml": CHART}), "UnsafePath", "is an absolute path", id="a drive"),
        pytest.param(archive(HELLO | {"hello/../../x": ""}), "UnsafePath", "leaves the chart by ..", id="out by .."),
        pytest.param(archive(HELLO | {"hello\\x": ""}), "UnsafePath", "has a backslash", id="backslash"),
        pytest.param(archive(HELLO | {"hello/x\n": ""}), "UnsafePath", "has control characters", id="line break"),
        pytest.param(
            archive(HELLO, ("hello/x", becomes(tarfile.SYMTYPE, "/etc/passwd"))),
            "UnsafePath",
            "is a link",
            id="symlink",
        ),
        pytest.param(
            archive(HELLO, ("hello/x", becomes(tarfile.LNKTYPE, "hello/y"))), "UnsafePath", "is a link", id="hard link"
        ),
        pytest.param(
            archive(HELLO, ("hello/x", becomes(tarfile.CHRTYPE))), "UnsafePath", "is no plain file", id="device"
        ),
        pytest.param(archive(HELLO | {"other/x": ""}), "NotAChart", "several top-level folders", id="two folders"),
        pytest.param(archive({"Chart.yaml": CHART}), "NotAChart", "is not in a folder", id="no folder"),
        pytest.param(
            archive(HELLO, ("hello/Chart.yaml", plain)), "NotAChart", "'hello/Chart.yaml' is there twice", id="twice"
        ),
        pytest.param(archive({"hello/values.yaml": ""}), "NotAChart", "Chart.yaml: is missing", id="no Chart.yaml"),
        pytest.param(chart(Chart_yaml="- a"), "InvalidYaml", "Chart.yaml: must be a map", id="a list"),
        pytest.param(chart(Chart_yaml=CHART + "}"), "InvalidYaml", "line 4", id="broken"),
        pytest.param(chart(Chart_yaml="apiVersion: v3\nname: a\nversion: 1.0.0"), "NotAChart", "'v3'", id="version 3"),
        pytest.param(chart(Chart_yaml="version: 1.0.0"), "NotAChart", "name is missing", id="nameless"),
        pytest.param(
            chart(Chart_yaml="name: ../a\nversion: 1.0.0"), "NotAChart", "can't be a path", id="name is a path"
        ),
        pytest.param(chart(Chart_yaml="name: a"), "NotAChart", "version is missing", id="no version"),
        pytest.param(chart(Chart_yaml="name: a\nversion: one"), "NotAChart", "'one' is not SemVer", id="not SemVer"),
        pytest.param(chart(Chart_yaml=CHART + "type: toy"), "NotAChart", "type is 'toy'", id="unknown type"),
        pytest.param(chart(Chart_yaml=CHART + "type: library"), "NotAChart", "nothing to install", id="library"),
        pytest.param(
            chart(Chart_yaml=CHART + "dependencies: [{name: cache}]"),
            "MissingDependencies",
            "not in charts/: cache; run `helm dependency build`",
            id="not vendored",
        ),
        pytest.param(
            chart(Chart_yaml=CHART + "dependencies: [cache]"), "NotAChart", "must be a list of maps", id="names"
        ),
        pytest.param(chart(charts__README="hi"), "NotAChart", "charts/README/Chart.yaml: is missing", id="no subchart"),
        pytest.param(
            chart(charts__a_tgz=b"x"), "NotAChart", "charts/a.tgz: is not a gzipped tar", id="broken subchart"
        ),
        pytest.param(
            chart(charts__a__Chart_yaml="name: a\nversion: 1.0.0", values_yaml="a: 1"),
            "InvalidValues",
            "values.yaml: a holds the values of subchart a",
            id="no map for a subchart",
        ),
        pytest.param(
            chart(values_yaml="a: *b"), "InvalidYaml", "values.yaml: *b has no finished &b", id="unknown alias"
        ),
        pytest.param(chart(values_yaml="a: &a [*a]"), "InvalidYaml", "*a has no finished &a", id="endless alias"),
        pytest.param(chart(values_yaml="[" * 500_000), "InvalidYaml", "nested more than 100 deep", id="deep"),
        pytest.param(chart(values_yaml="%TAG !a! b\n--- a"), "InvalidYaml", "has a %TAG directive", id="tags"),
        pytest.param(chart(values_yaml="a: .inf"), "InvalidYaml", "JSON has no such number", id="infinite"),
        pytest.param(
            chart(values_yaml="? {a: b}\n: c"), "InvalidYaml", "a key must be a plain word", id="a map as key"
        ),
        pytest.param(chart(values_yaml="a: \xff".encode("latin-1")), "InvalidYaml", "values.yaml", id="not UTF-8"),
    ],
)
def test_what_is_no_chart_is_refused_with_the_entry_and_the_cause(content: bytes, reason: str, says: str) -> None:
    found = refused(content)
    assert found[0] == reason
    assert says in found[1]


def test_aliases_that_unfold_without_end_are_refused_before_anything_is_built() -> None:
    names = "abcdefghijklmnop"
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join(['*' + before] * 10)}]\n" for before, name in pairwise(names)
    )
    assert refused(chart(values_yaml=bomb)) == (
        "InvalidYaml",
        "values.yaml: has more than 199993 values once its aliases are followed",
    )


def test_archives_inside_archives_end_somewhere() -> None:
    content = chart()
    for _ in range(9):
        content = chart(charts__a_tgz=content)
    assert refused(content)[1].endswith("charts are nested more than 8 deep")


def test_what_is_inside_pays_from_the_same_purse() -> None:
    inner = archive({"a/Chart.yaml": CHART} | {f"a/{n}": b"\0" * 5 * MIB for n in range(11)})
    assert refused(archive(HELLO | {"hello/charts/a.tgz": inner, "hello/charts/b.tgz": inner}))[0] == "ArchiveTooLarge"


@given(st.binary(max_size=2000))
def test_random_bytes_are_refused(content: bytes) -> None:
    assert refused(content)[0] == "NotAChart"


TAR = gzip.decompress(chart(values_yaml="a: 1\n", charts__b_tgz=chart()))


@given(
    st.lists(st.tuples(st.integers(0, len(TAR) - 1), st.binary(min_size=1, max_size=8)), max_size=5),
    st.integers(0, len(TAR)),
)
@settings(max_examples=300)
def test_a_damaged_archive_is_read_or_refused(damage: list[tuple[int, bytes]], cut: int) -> None:
    content = bytearray(TAR)
    for position, what in damage:
        content[position : position + len(what)] = what
    read_or_refused(gzip.compress(bytes(content[: cut or None]), compresslevel=1))


@given(st.binary(max_size=300) | st.text(alphabet="ab:-&*<>[]{}!|#'\"?,~ \n", max_size=200))
@settings(max_examples=300)
def test_any_values_are_read_or_refused_and_are_json(text: bytes | str) -> None:
    found = read_or_refused(chart(values_yaml=text))
    assert found is None or json.loads(json.dumps(found.values, allow_nan=False)) == found.values


def read_or_refused(content: bytes) -> charts.Chart | None:
    try:
        return charts.inspect(content)
    except Refused:
        return None


TEXT = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_values_written_as_json_are_read_as_written(values: dict[str, Any]) -> None:
    assert charts.inspect(chart(values_yaml=json.dumps(values, ensure_ascii=False))).values == values


@given(st.dictionaries(st.sampled_from("abc"), st.dictionaries(st.sampled_from("xyz"), st.integers()), max_size=3))
def test_a_value_can_be_picked_out_of_a_large_document(entries: dict[str, dict[str, int]]) -> None:
    for text in (json.dumps({"x": [1], "entries": entries}), "x:\n- 1\nentries:\n  " + json.dumps(entries)):
        for name in "abc":
            picked = documents.pick(text, ("entries", name), "index.yaml")
            assert (picked and documents.load(picked.encode(), "index.yaml", 99)[0][0]) == (
                entries.get(name) or (picked and {})
            )


GO_YAML = """
twice: 1
twice: 2
sixty: 1:30
day: 2024-10-15
binary: 0b11
exponent: 1e3
octal: 0o17
old_octal: 017
eight: 08
yes_or_no: [y, n, yes, no, on, off, Yes, OFF, "y", ye]
numbers: [1_000, +1, -0x1F, 685.230_15e+03, .5, 1., 12345678901234567890123]
nothing: [~, null, Null, ""]
tagged: !thing x
equals: =
keys: {1: a, true: b, 1.5: c, y: d}
merged: {<<: {a: 1, b: 2}, b: 3}
text: |
  two
  lines
"""


def test_yaml_means_what_helm_takes_it_for(tools: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "hello"
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text(CHART)
    (folder / "values.yaml").write_text(GO_YAML)
    (folder / "templates/out.yaml").write_text("out: {{ .Values | toJson }}\n")
    rendered = subprocess.run([tools["helm"], "template", folder], capture_output=True, text=True, check=True).stdout
    assert charts.inspect(pack(folder, "hello")).values == json.loads(rendered.partition("out: ")[2])


@pytest.mark.parametrize("name", ["hello", "postgres", "shop", "small"])
def test_the_examples_are_charts_for_helm_and_for_us(name: str, tools: dict[str, str], tmp_path: Path) -> None:
    subprocess.run([tools["helm"], "lint", "--strict", EXAMPLES / name], capture_output=True, check=True)
    packed = tmp_path / "packed.tgz"
    packed.write_bytes(pack(EXAMPLES / name, name))
    assert charts.inspect(packed.read_bytes()).name == name
    first, second = (
        subprocess.run(
            [tools["helm"], "template", "one", path, "--set", "auth.password=x"],
            capture_output=True,
            text=True,
            check=True,
        )
        for path in (EXAMPLES / name, packed)
    )
    assert first.stdout == second.stdout


def test_values_are_coalesced_as_helm_does(tools: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    subprocess.run(["/bin/cp", "-r", EXAMPLES / "shop", folder], check=True)
    (folder / "templates/out.yaml").write_text('out: {{ omit .Values "global" | toJson }}\n')
    command: list[str | Path] = [tools["helm"], "template", folder, "--show-only", "templates/out.yaml"]
    rendered = json.loads(
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.partition("out: ")[2]
    )
    rendered["cache"].pop("global")  # Helm hands its own copy to each subchart
    ours = charts.inspect(pack(folder, "shop")).values
    assert {key: value for key, value in ours.items() if key != "global"} == rendered


def test_a_folder_is_packed_the_same_every_time(tmp_path: Path) -> None:
    one, other = tmp_path / "one/hello", tmp_path / "other/hello"
    for folder, names in ((one, "ba"), (other, "ab")):
        (folder / "templates").mkdir(parents=True)
        for name in names:
            (folder / f"templates/{name}.yaml").write_text(name)
        (folder / "Chart.yaml").write_text(CHART)
    (other / ".git").mkdir()
    (other / ".git/config").write_text("hidden")
    assert pack(one, "one") == pack(other, "other")
