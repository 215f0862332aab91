"""Rights that somebody gives a Consumer or a Provider besides, from a file. Pure: text in, rules and roles out.

They bear the label of whom they are for, and so go with him; nothing else in Chandlery touches them. Whether whoever
gives them may is Kubernetes' to decide: nobody hands out what he doesn't hold.
"""

from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from shared.access import Consumer, Grantee
from shared.errors import Refused
from shared.grants import EXTRA, Owned, pair
from shared.resources import CLUSTER_ROLES, ROLES

SIZE_LIMIT = 64 * 1024
Words = Annotated[list[Annotated[str, Field(max_length=512)]], Field(max_length=256)]


class ExtraRule(BaseModel):
    """A rule of RBAC as it stands in a file: on resources, or on URLs of the API server's own."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    verbs: Words = Field(min_length=1)
    api_groups: Words | None = None
    resources: Words | None = None
    resource_names: Words | None = None
    non_resource_urls: Words | None = Field(None, alias="nonResourceURLs")

    @property
    def body(self) -> dict[str, Any]:
        found = self.model_dump(by_alias=True, exclude_none=True)
        return found if self.non_resource_urls else {"apiGroups": [""], **found}


class File(BaseModel):
    rules: list[ExtraRule] = Field(min_length=1, max_length=64)


def rules_in(text: str, where: str) -> list[dict[str, Any]]:
    """From YAML or JSON: a list of rules, or anything with such a list under `rules`, as a Role has it."""
    if len(text) > SIZE_LIMIT:
        raise Refused("InvalidPermissions", f"{where}: has more than {SIZE_LIMIT // 1024} KiB")
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise Refused("InvalidPermissions", f"{where}: is neither YAML nor JSON") from error
    listed = document if isinstance(document, list) else document.get("rules") if isinstance(document, dict) else None
    try:
        found = File.model_validate({"rules": listed}).rules
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise Refused("InvalidPermissions", f"{where}: {field}: {first['msg']}") from error
    for index, rule in enumerate(found):
        check(rule, f"{where}: rules.{index}")
    return [rule.body for rule in found]


def check(rule: ExtraRule, where: str) -> None:
    on_resources = bool(rule.resources)
    if on_resources == bool(rule.non_resource_urls):
        fix = "give resources (with apiGroups), or nonResourceURLs, in one rule not both"
        raise Refused("InvalidPermissions", f"{where}: {fix}")
    if rule.non_resource_urls and (rule.api_groups or rule.resource_names):
        raise Refused("InvalidPermissions", f"{where}: nonResourceURLs have no apiGroups and no resourceNames")


def name_of(who: Grantee, number: int) -> str:
    return f"{EXTRA}{who.account}:{number}"


def number_of(owned: Owned) -> int:
    text = str(owned.body["metadata"]["name"]).rpartition(":")[2]
    return int(text) if text.isdecimal() else 0


def besides(who: Grantee, rules: list[dict[str, Any]], number: int, namespace: str | None) -> list[Owned]:
    """A role and its binding; without a namespace, everywhere."""
    if namespace and any("nonResourceURLs" in rule for rule in rules):
        raise Refused("InvalidPermissions", "nonResourceURLs are in no namespace: leave out --namespace")
    return pair(who, ROLES if namespace else CLUSTER_ROLES, name_of(who, number), rules, namespace)


def next_number(found: list[Owned]) -> int:
    return max((number_of(each) for each in found), default=0) + 1


def of_number(found: list[Owned], number: int | None) -> list[Owned]:
    """Bindings come first, as they do in KINDS; all of them without a number."""
    return [each for each in found if number is None or number_of(each) == number]


def kind_and_name(text: str) -> tuple[str, str]:
    """`team-a` and `consumer/team-a` are a Consumer, `provider/acme` is a Provider."""
    kind, slash, name = text.rpartition("/")
    if slash and kind not in ("consumer", "provider"):
        raise Refused("NotFound", f"{text}: is neither a consumer nor a provider; give NAME or provider/NAME")
    return kind or Consumer.RESOURCE.kind.lower(), name
