"""The versions of one consumer API: what may change in place, which are served, and how they hang together. Pure.

Every version that was ever published stays served; the newest is the one objects are stored in. An object is rewritten
to it at its next write, so nothing has to migrate for the sake of storage. Which value each name stood for is recorded
on the CRD for every version: the Offering knows only its own.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

from shared.compatibility import Difference, Schema, breaking, differences
from shared.conversion import Edition, Places, convert, unconverted
from shared.errors import Refused
from shared.validity import check
from shared.values import format_path, parse_path

PARAMETERS = "chandlery.dev/parameters"
EDITION = "chandlery.dev/edition"
"""A hash of all that a conversion depends on; it stands in the webhook's path too."""
RECORDED_BYTES = 96 * 1024
"""Of all annotations of an object together the API server takes 256 KiB."""
TOGETHER_BYTES = 220 * 1024
NAMED = 10
RULES = "x-kubernetes-validations"

Crd = dict[str, Any]
_VERSION = re.compile(r"v([0-9]+)(?:(alpha|beta)([0-9]+))?")


# Names of versions


def order(version: str) -> tuple[int, int, int]:
    """v1alpha1, v1alpha2, v1beta1, v1, v2alpha1: as they come in time."""
    match = _VERSION.fullmatch(version)
    if match is None:
        return (0, 0, 0)
    stage = {"alpha": 0, "beta": 1, None: 2}[match[2]]
    return int(match[1]), stage, int(match[3] or 0)


def following(version: str) -> str:
    """v1alpha1 -> v1alpha2, v1 -> v2."""
    return re.sub(r"[0-9]+$", lambda number: str(int(number[0]) + 1), version)


# What a CRD says


def stored(crd: Crd) -> str:
    return next(each["name"] for each in crd["spec"]["versions"] if each["storage"])


def served(crd: Crd) -> list[str]:
    """Oldest first."""
    return sorted((each["name"] for each in crd["spec"]["versions"] if each["served"]), key=order)


def spec_schema(version: dict[str, Any]) -> Schema:
    """With the rules of the whole object, which speak of its spec."""
    whole = version["schema"]["openAPIV3Schema"]
    schema: Schema = whole.get("properties", {}).get("spec", {})
    rules = [*whole.get(RULES, []), *schema.get(RULES, [])]
    return {**schema, RULES: rules} if rules else schema


def schema_of(crd: Crd, version: str) -> Schema:
    return next(spec_schema(each) for each in crd["spec"]["versions"] if each["name"] == version)


def editions(crd: Crd) -> dict[str, Edition]:
    """What conversion needs to know of each version."""
    annotations = crd["metadata"].get("annotations") or {}
    return {each["name"]: _edition(each, annotations) for each in crd["spec"]["versions"]}


def _edition(version: dict[str, Any], annotations: dict[str, str]) -> Edition:
    recorded = json.loads(annotations.get(f"{PARAMETERS}.{version['name']}", "{}"))
    names = recorded.get("names")
    places: Places | None = None
    if names is not None:
        places = tuple((parse_path(name), parse_path(path or name)) for name, path in names.items())
    return Edition(version["name"], places, bool(recorded.get("plans")), spec_schema(version))


def recorded(places: Places | None, *, plans: bool) -> str:
    """As it is kept on the CRD; "" when that is too much to be kept."""
    names = places and {format_path(stands): "" if stands == goes else format_path(goes) for stands, goes in places}
    kept = {"plans": plans, "names": {} if places == () else names}
    text = json.dumps(kept, separators=(",", ":"))
    return text if len(text.encode()) <= RECORDED_BYTES else ""


# What may change


def changes(existing: Crd, crd: Crd) -> list[Difference]:
    """Between what is served of the newest version and what would be."""
    version = crd["spec"]["versions"][0]["name"]
    return differences(schema_of(existing, stored(existing)), schema_of(crd, version))


def check_in_place(crd: Crd, found: list[Difference], living: list[dict[str, Any]]) -> None:
    """The same version with another schema: as long as nothing breaks, or nobody is there whom it could break.

    Without instances a breaking change goes in place: clients that were written against the old schema may still break,
    but a provider who tries things out needs no version for each try.
    """
    version = crd["spec"]["versions"][0]["name"]
    if found and living:
        checked = check(schema_of(crd, version))
        broken = {name_of(each): faults for each in living if (faults := checked(each.get("spec") or {}))}
        raise Refused("BreakingChange", breaking_message(version, found, broken, len(living)))


def breaking_message(version: str, found: list[Difference], broken: dict[str, list[str]], living: int) -> str:
    whom = (
        f"instances that would become invalid: {first(_told(broken))}"
        if broken
        else f"none of the {living} living instances would become invalid, but who writes them may"
    )
    return (
        f"spec: {version} would break for those who use it: {first(map(str, found))}. {whom[0].upper()}{whom[1:]}. "
        f"Raise spec.api.version to {following(version)}, or undo the change; "
        f"{version} is served as before, and existing instances stay as they are"
    )


def check_raised(existing: Crd, version: str) -> None:
    before = stored(existing)
    if version != before and order(version) <= order(before):
        raise Refused(
            "VersionLowered",
            f"spec.api.version: instances are stored as {before}, and versions only go up; "
            f"use {before}, or {following(before)} for a breaking change",
        )


def check_migration(crd: Crd, before: str, living: list[dict[str, Any]]) -> None:
    """A new version: nobody may lose by it what they have."""
    known, after = editions(crd), crd["spec"]["versions"][0]["name"]
    old, new = known[before], known[after]
    checked = check(new.schema)
    broken = {}
    for each in living:
        converted = convert(each, old, new)
        lost = [path for path in unconverted(converted, [old, new]) if path not in unconverted(each, [])]
        if faults := [*_placeless(lost, after), *checked(converted.get("spec") or {})]:
            broken[name_of(each)] = faults
    if broken:
        raise Refused(
            "InstancesMustMigrate",
            f"spec.api.version: {len(broken)} of {len(living)} instances would be invalid in {after}: "
            f"{first(_told(broken))}. Change them in {before}, or make {after} take them; "
            f"until then {before} is served as before, and existing instances stay as they are",
        )


def faults(found: dict[str, Any], crd: Crd) -> list[str]:
    """What is wrong with an instance that was written in another version than it is read in: only the version it was
    written in has been checked by the API server."""
    version = found["apiVersion"].rpartition("/")[2]
    known = editions(crd)
    return [
        *_placeless(unconverted(found, known.values()), version),
        *check(known[version].schema)(found.get("spec") or {}),
    ]


def _placeless(paths: Iterable[str], version: str) -> list[str]:
    return [f"the chart's value {path} can't be set as it is in {version}" for path in paths]


def name_of(found: dict[str, Any]) -> str:
    return f"{found['metadata'].get('namespace', '')}/{found['metadata']['name']}"


def _told(broken: dict[str, list[str]]) -> list[str]:
    return [f"{name} ({first(found, 3)})" for name, found in broken.items()]


def first(things: Iterable[str], limit: int = NAMED) -> str:
    every = [*things]
    more = f", and {len(every) - limit} more" if len(every) > limit else ""
    return ", ".join(every[:limit]) + more


# How they hang together


SERVED = {"served": True, "storage": False, "deprecated": True}


def together(crd: Crd, existing: Crd | None, places: Places | None, *, plans: bool) -> Crd:
    """The CRD of the newest version with all earlier ones, the newest being stored."""
    newest = crd["spec"]["versions"][0]
    name, group = newest["name"], crd["spec"]["group"]
    warning = f"{group}/{name} is newer; what it calls otherwise is converted"
    earlier = [
        {
            **_with_status(each, newest["schema"]["openAPIV3Schema"]["properties"]["status"]),
            **SERVED,
            "deprecationWarning": warning[:256],
        }
        for each in (existing or {"spec": {"versions": []}})["spec"]["versions"]
        if order(each["name"]) < order(name)
    ]
    known = ((existing or {}).get("metadata", {}).get("annotations") or {}) if earlier else {}
    kept = {f"{PARAMETERS}.{each['name']}" for each in earlier}
    annotations = {key: text for key, text in known.items() if key in kept}
    if text := recorded(places, plans=plans):
        annotations[f"{PARAMETERS}.{name}"] = text
    metadata = {**crd["metadata"], "annotations": crd["metadata"].get("annotations", {}) | annotations}
    whole = {**crd, "metadata": metadata, "spec": {**crd["spec"], "versions": [newest, *earlier]}}
    metadata["annotations"][EDITION] = edition_hash(whole)
    return whole


def with_status(crd: Crd, status: Schema) -> Crd:
    """In all versions: functions write one status, whichever version they speak."""
    whole = as_it_was(crd)
    versions = [_with_status(each, status) for each in crd["spec"]["versions"]]
    return {**whole, "spec": {**whole["spec"], "versions": versions}}


def _with_status(version: Crd, status: Schema) -> Crd:
    whole = version["schema"]["openAPIV3Schema"]
    schema = {**whole, "properties": {**whole["properties"], "status": status}}
    return {**version, "schema": {**version["schema"], "openAPIV3Schema": schema}}


def edition_hash(crd: Crd) -> str:
    annotations = crd["metadata"]["annotations"]
    versions = [
        [each["name"], annotations.get(f"{PARAMETERS}.{each['name']}"), spec_schema(each)]
        for each in crd["spec"]["versions"]
    ]
    return hashlib.sha256(json.dumps(versions, sort_keys=True).encode()).hexdigest()[:16]


def alike(crd: Crd) -> bool:
    """Whether an object is the same in all versions, so that there is nothing to convert."""
    every = [(edition.places, edition.plans, edition.schema) for edition in editions(crd).values()]
    return all(
        (places, plans) == (every[0][0], every[0][1])
        and not breaking(differences(every[0][2], schema))
        and not breaking(differences(schema, every[0][2]))
        and _fields(schema) == _fields(every[0][2])
        for places, plans, schema in every
    )


def _fields(schema: Any) -> Any:
    """The schema's skeleton: which fields there are."""
    if not isinstance(schema, dict):
        return None
    inner = {key: _fields(schema.get(key)) for key in ("items", "additionalProperties")}
    return {key: _fields(each) for key, each in schema.get("properties", {}).items()} | {"": inner} if schema else None


def converted_by(crd: Crd, client_config: dict[str, Any] | None) -> Crd:
    """With the webhook that converts its versions; raises Refused when there would have to be one and is none."""
    annotations = crd["metadata"]["annotations"]
    unknown = [name for name in served(crd) if f"{PARAMETERS}.{name}" not in annotations]
    if len(crd["spec"]["versions"]) > 1 and unknown:
        raise Refused(
            "ConversionUnavailable",
            f"spec.api.version: which values the parameters of {', '.join(unknown)} stand for is not recorded: there "
            "are too many of them to be converted (select fewer), or an older Chandlery has published them",
        )
    if alike(crd):
        return crd
    sizes = [len(key.encode()) + len(text.encode()) for key, text in annotations.items()]
    if client_config is None:
        raise Refused(
            "ConversionUnavailable",
            "spec.api.version: its versions differ, and no webhook is set up that converts between them: set "
            "CHANDLERY_CONVERSION_CA (and CHANDLERY_CONVERSION_URL outside a cluster) for publish_api",
        )
    if sum(sizes) > TOGETHER_BYTES:
        raise Refused(
            "ConversionUnavailable",
            "spec.api.version: there are too many parameters in too many versions to be recorded; select fewer",
        )
    webhook = {"clientConfig": client_config, "conversionReviewVersions": ["v1"]}
    return {**crd, "spec": {**crd["spec"], "conversion": {"strategy": "Webhook", "webhook": webhook}}}


def stored_as(crd: Crd, version: str) -> Crd:
    """The same versions, another of them stored: to see whether conversion works before anything depends on it."""
    versions = [{**each, "storage": each["name"] == version} for each in crd["spec"]["versions"]]
    return {**crd, "spec": {**crd["spec"], "versions": versions}}


def as_it_was(existing: Crd) -> Crd:
    """What was read, as it can be applied again."""
    metadata = {
        key: existing["metadata"][key] for key in ("name", "labels", "annotations") if key in existing["metadata"]
    }
    return {**{key: existing[key] for key in ("apiVersion", "kind", "spec")}, "metadata": metadata}
