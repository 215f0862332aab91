"""What a chart archive holds: read as Helm reads it, refused where Helm would refuse it or be misused by it. Pure.

Not done: version ranges of dependencies (one name vendored in two versions goes by exact version).
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from shared import documents, semver
from shared.archive import Budget, unpack
from shared.errors import Refused
from shared.offering import Values
from shared.values import Path, merge

NESTING = 8
READ = ("Chart.yaml", "values.yaml", "requirements.yaml", "values.schema.json", "README.md")
MANIFESTS = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Import:
    """A parent takes values from its child (`import-values`): who sets `child` sets `parent`. As the root sees both."""

    child: Path
    parent: Path


@dataclass(frozen=True)
class Part:
    """The chart itself or one inside it, and what its files say of its values."""

    at: Path
    """Where its values stand among the chart's."""
    name: str
    values: Values
    """Its own defaults, without those of its subcharts and without what its parents override."""
    values_text: bytes
    readme: bytes
    schema: bytes | None
    """values.schema.json"""
    switches: tuple[Path, ...] = ()
    """Values that switch it on and off, the first that is declared counts (`condition`), then its tags."""
    imports: tuple[Import, ...] = ()

    def file(self, name: str) -> str:
        """How one of its files is called in messages."""
        return "/".join((*self.at, name))


@dataclass(frozen=True)
class Chart:
    name: str
    version: str
    app_version: str | None
    description: str | None
    digest: str
    values: Values
    """The defaults, those of each subchart under its name or alias; the parent's win. Nulls are kept."""
    parts: tuple[Part, ...]
    """Parents before their subcharts; one that stands under two aliases is there twice."""
    crds: dict[str, bytes]
    """Files of crds/, subcharts' included, by their path in the archive."""


@dataclass(frozen=True)
class _Part:
    """The chart itself or one inside it."""

    name: str
    version: str
    metadata: Values
    values: Values
    parts: tuple[Part, ...]
    crds: dict[str, bytes]


def inspect(archive: bytes) -> Chart:
    """Raises Refused. Costs up to a second of CPU for an archive at the limits: call it in a thread."""
    budget = Budget()
    part = _read(unpack(archive, "the archive", budget, _wanted), "", budget, 0)
    if part.metadata.get("type") == "library":
        raise Refused("NotAChart", "Chart.yaml: type: library has nothing to install; offer a chart that depends on it")
    return Chart(
        name=part.name,
        version=part.version,
        app_version=_text(part.metadata.get("appVersion")),
        description=_text(part.metadata.get("description")),
        digest=digest_of(archive),
        values=part.values,
        parts=part.parts,
        crds=part.crds,
    )


def digest_of(archive: bytes) -> str:
    return "sha256:" + hashlib.sha256(archive).hexdigest()


def _wanted(path: str) -> bool:
    return path.rpartition("/")[2] in READ or path.endswith(".tgz") or _is_crd(path)


def _is_crd(path: str) -> bool:
    """In the folder crds/ of the chart or of one inside it."""
    return "crds" in path.split("/")[:-1] and path.lower().endswith(MANIFESTS)


def _read(files: dict[str, bytes], where: str, budget: Budget, depth: int) -> _Part:
    """`where` is the path of the chart inside the archive, for messages: empty, or charts/cache/."""
    if depth > NESTING:
        raise Refused("NotAChart", f"{where}: charts are nested more than {NESTING} deep")
    metadata = _metadata(files, where, budget)
    subcharts = [_read_subchart(name, found, where, budget, depth + 1) for name, found in _subcharts(files).items()]
    if depth == 0:
        _check_vendored(metadata, subcharts)
    own: Values = {}
    for each in _load(files, "values.yaml", where, budget):
        own = merge(own, each)
    by_key = _by_key(metadata, subcharts)
    itself = Part(
        at=(),
        name=str(_text(metadata.get("name"))),
        values=own,
        values_text=files.get("values.yaml", b""),
        readme=files.get("README.md", b""),
        schema=files.get("values.schema.json"),
        imports=tuple(_imports(metadata)),
    )
    inside = [_moved(part, key, metadata) for key, found in by_key.items() for part in found.parts]
    crds = {f"{where}{path}": content for path, content in files.items() if path.startswith("crds/") and _is_crd(path)}
    return _Part(
        name=itself.name,
        version=str(_text(metadata.get("version"))),
        metadata=metadata,
        values=_coalesce(own, by_key, f"{where}values.yaml"),
        parts=(itself, *inside),
        crds=crds | {path: content for part in subcharts for path, content in part.crds.items()},
    )


def _moved(part: Part, key: str, parent: Values) -> Part:
    """A part of a subchart as the subchart's parent sees it."""
    switches = tuple((key, *each) for each in part.switches)
    if not part.at:
        switches = _switches(key, parent)
    imports = tuple(Import((key, *each.child), (key, *each.parent)) for each in part.imports)
    return replace(part, at=(key, *part.at), switches=switches, imports=imports)


def _dependency(key: str, metadata: Values) -> Values:
    named = (each for each in metadata["dependencies"] if (each.get("alias") or each.get("name")) == key)
    found: Values = next(named, {})
    return found


def _switches(key: str, metadata: Values) -> tuple[Path, ...]:
    """`condition: a.b,c.d` and `tags: [x]` of Chart.yaml, as paths."""
    found = _dependency(key, metadata)
    condition, tags = found.get("condition"), found.get("tags")
    paths = [tuple(each.strip().split(".")) for each in condition.split(",")] if isinstance(condition, str) else []
    labels = [("tags", str(tag)) for tag in tags] if isinstance(tags, list) else []
    return (*[path for path in paths if all(path)], *labels)


def _imports(metadata: Values) -> Iterator[Import]:
    """`import-values` of Chart.yaml: a name under the child's `exports`, or {child, parent}."""
    for each in metadata["dependencies"]:
        key = str(each.get("alias") or each.get("name"))
        wanted = each.get("import-values")
        for one in wanted if isinstance(wanted, list) else []:
            if isinstance(one, str):
                yield Import((key, "exports", one), ())
            elif isinstance(one, dict) and isinstance(one.get("child"), str) and isinstance(one.get("parent"), str):
                parent = () if one["parent"] == "." else tuple(one["parent"].split("."))
                yield Import((key, *one["child"].split(".")), parent)


def _metadata(files: dict[str, bytes], where: str, budget: Budget) -> Values:
    field = f"{where}Chart.yaml"
    if "Chart.yaml" not in files:
        raise Refused("NotAChart", f"{field}: is missing; pack a chart's folder with `helm package`")
    metadata: Values = next(iter(_load(files, "Chart.yaml", where, budget)), {})
    for wrong in _metadata_errors(metadata):
        raise Refused("NotAChart", f"{field}: {wrong}")
    if metadata.get("apiVersion", "v1") == "v1":  # then dependencies stand in a file of their own
        metadata = {**metadata, **next(iter(_load(files, "requirements.yaml", where, budget)), {})}
    dependencies = metadata.get("dependencies") or []
    if not isinstance(dependencies, list) or not all(isinstance(each, dict) for each in dependencies):
        raise Refused("NotAChart", f"{field}: dependencies must be a list of maps with a name")
    return {**metadata, "dependencies": dependencies}


def _metadata_errors(metadata: Values) -> list[str]:
    version = metadata.get("apiVersion", "v1")
    name = _text(metadata.get("name"))
    chart_version = _text(metadata.get("version"))
    kind = metadata.get("type") or "application"
    checks = (
        (version not in ("v1", "v2"), f"apiVersion is {version!r}; v1 and v2 are known"),
        (not name, "name is missing"),
        (name is not None and ("/" in name or name in (".", "..")), f"name {name!r} can't be a path"),
        (not chart_version, "version is missing"),
        (not semver.valid(chart_version or "0.0.0"), f"version {chart_version!r} is not SemVer, such as 1.2.3"),
        (kind not in ("application", "library"), f"type is {kind!r}; application and library are known"),
    )
    return [message for wrong, message in checks if wrong]


def _subcharts(files: dict[str, bytes]) -> dict[str, dict[str, bytes]]:
    """What is in charts/, by its first name; Helm passes over hidden files and signatures."""
    found: dict[str, dict[str, bytes]] = {}
    for path, content in files.items():
        folder, _, rest = path.partition("/")
        name, _, inner = rest.partition("/")
        if folder == "charts" and name[0] not in "._" and not path.endswith(".prov"):
            found.setdefault(name, {})[inner] = content
    return dict(sorted(found.items()))


def _read_subchart(name: str, files: dict[str, bytes], where: str, budget: Budget, depth: int) -> _Part:
    inside = f"{where}charts/{name}"
    if name.endswith(".tgz") and set(files) == {""}:
        files = unpack(files[""], inside, budget, _wanted)
    return _read(files, f"{inside}/", budget, depth)


def _check_vendored(metadata: Values, subcharts: list[_Part]) -> None:
    """Helm asks for them all, also for those that a condition switches off."""
    vendored = {part.name for part in subcharts}
    missing = [str(each.get("name")) for each in metadata["dependencies"] if each.get("name") not in vendored]
    if missing:
        fix = "run `helm dependency build` before `helm package`"
        raise Refused("MissingDependencies", f"Chart.yaml: not in charts/: {', '.join(missing)}; {fix}")


def _by_key(metadata: Values, subcharts: list[_Part]) -> dict[str, _Part]:
    """Subcharts by the key under which their values stand: the alias, or else the name."""
    found: dict[str, _Part] = {}
    declared = {str(each.get("name")) for each in metadata["dependencies"]}
    for each in metadata["dependencies"]:
        named = [part for part in subcharts if part.name == each.get("name")]
        exact = [part for part in named if part.version == each.get("version")]
        for part in (exact or named)[:1]:
            found[str(each.get("alias") or part.name)] = part
    return found | {part.name: part for part in subcharts if part.name not in declared}


def _coalesce(own: Values, subcharts: dict[str, _Part], field: str) -> Values:
    values = dict(own)
    for key, part in subcharts.items():
        given = values.get(key)
        if given is not None and not isinstance(given, dict):
            raise Refused("InvalidValues", f"{field}: {key} holds the values of subchart {part.name}: it must be a map")
        values[key] = merge(part.values, given or {})
    return values


def _load(files: dict[str, bytes], name: str, where: str, budget: Budget) -> list[Values]:
    """The documents of a YAML file, none when it is not there."""
    found, nodes = documents.load(files.get(name, b""), f"{where}{name}", budget.nodes)
    budget.nodes -= nodes
    for document in found:
        if not isinstance(document, dict | None):
            raise Refused("InvalidYaml", f"{where}{name}: must be a map, key: value")
    return [document for document in found if document]


def _text(value: Any) -> str | None:
    """Helm takes `version: 1.2` for "1.2"."""
    return None if value is None or isinstance(value, list | dict) else documents.plain(value)
