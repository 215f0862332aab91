"""The drafts of JSON Schema: which one a document is in, which keywords it has, where its references lead.

As Helm does it (santhosh-tekuri/jsonschema): 2020-12 where nothing is said, http and https alike. Other documents are
never fetched, though Helm would (also from its own disk); a urn: that nobody resolves holds for everything, as in Helm.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import jsonschema
from jsonschema.protocols import Validator
from jsonschema_specifications import REGISTRY
from referencing import Registry, Resource, Specification
from referencing import jsonschema as dialects
from referencing.exceptions import NoSuchResource, Unresolvable
from referencing.typing import URI

Json = dict[str, Any]


@dataclass(frozen=True)
class Draft:
    number: int
    validator: type[Validator]
    specification: Specification[Any]


DRAFTS = {
    "json-schema.org/draft-04/schema": Draft(4, jsonschema.Draft4Validator, dialects.DRAFT4),
    "json-schema.org/draft-06/schema": Draft(6, jsonschema.Draft6Validator, dialects.DRAFT6),
    "json-schema.org/draft-07/schema": Draft(7, jsonschema.Draft7Validator, dialects.DRAFT7),
    "json-schema.org/draft/2019-09/schema": Draft(2019, jsonschema.Draft201909Validator, dialects.DRAFT201909),
    "json-schema.org/draft/2020-12/schema": Draft(2020, jsonschema.Draft202012Validator, dialects.DRAFT202012),
}
LATEST = DRAFTS["json-schema.org/draft/2020-12/schema"]

SINCE = {
    **dict.fromkeys(("const", "contains", "propertyNames"), 6),
    **dict.fromkeys(("if", "then", "else"), 7),
    **dict.fromkeys(("dependentRequired", "dependentSchemas", "unevaluatedProperties", "unevaluatedItems"), 2019),
    **dict.fromkeys(("minContains", "maxContains"), 2019),
    **dict.fromkeys(("prefixItems", "$dynamicRef"), 2020),
    "$recursiveRef": 2019,
}
UNTIL = {"dependencies": 7, "additionalItems": 2019, "$recursiveRef": 2019}
ANNOTATIONS = ("title", "description")


def draft_of(document: Json) -> Draft | None:
    """None for a dialect of its own."""
    named = document.get("$schema")
    if named is None:
        return LATEST
    if not isinstance(named, str):
        return None
    bare = named.removesuffix("#").removeprefix("http://").removeprefix("https://")
    return LATEST if bare == "json-schema.org/schema" else DRAFTS.get(bare)


def keywords(schema: Json, draft: Draft) -> Json:
    """What counts in this draft: up to draft 7, nothing beside a $ref but what it tells people."""
    if draft.number < 2019 and "$ref" in schema:
        return {key: value for key, value in schema.items() if key in ("$ref", *ANNOTATIONS)}
    return {
        key: value for key, value in schema.items() if SINCE.get(key, 0) <= draft.number <= UNTIL.get(key, draft.number)
    }


def _retrieve(uri: URI) -> Resource[Any]:
    if uri.startswith("urn:"):
        return dialects.DRAFT202012.create_resource(True)
    raise NoSuchResource(ref=uri)


def _own_schemas() -> Registry[Any]:
    """The drafts' own, without $schema: the library would leave our guarded validator for one of its own there."""
    found: Registry[Any] = Registry(retrieve=_retrieve)
    for uri in REGISTRY:
        contents = REGISTRY.contents(uri)
        plain = {key: value for key, value in contents.items() if key != "$schema"}
        found = found.with_resource(uri, dialects.specification_with(contents["$schema"]).create_resource(plain))
    return found.crawl()


OWN_SCHEMAS = _own_schemas()


class Dangling(Exception):
    """A reference that leads nowhere inside the document."""


@dataclass(frozen=True)
class Spot:
    """A place in the document: what references are relative to, and its JSON pointer for messages."""

    draft: Draft
    resolver: Any
    pointer: str = ""

    @classmethod
    def root(cls, document: Json, draft: Draft) -> "Spot":
        resource = draft.specification.create_resource(document)
        return cls(draft, OWN_SCHEMAS.resolver_with_root(resource))

    def into(self, *steps: str | int) -> "Spot":
        escaped = (str(step).replace("~", "~0").replace("/", "~1") for step in steps)
        return Spot(self.draft, self.resolver, "/".join((self.pointer, *escaped)))

    def entered(self, schema: Json) -> "Spot":
        """As seen from inside a schema, which may have an identifier of its own."""
        if "$id" not in schema and "id" not in schema:
            return self
        resource = self.draft.specification.create_resource(schema)
        return Spot(self.draft, self.resolver.in_subresource(resource), self.pointer)

    def follow(self, reference: str) -> tuple[Any, "Spot"]:
        try:
            found = self.resolver.lookup(reference)
        except (Unresolvable, ValueError, TypeError, LookupError, AttributeError) as error:
            raise Dangling(reference) from error
        pointer = unquote(reference[1:]) if reference.startswith("#") else reference
        return found.contents, Spot(self.draft, found.resolver, pointer)
