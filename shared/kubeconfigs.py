"""The credentials of a Consumer or a Provider: a kubeconfig in a Secret, with a token that is good for as long as that
Secret is there.

The Secret's annotations say since when, until when, and from what its token was made. A token that was renewed stays
good until it ends: whoever reads the Secret again in time never fails. Tokens stand nowhere else, in no log and no
event.
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import yaml

from shared.access import Grantee, Kubeconfig, secret_of
from shared.cluster import Cluster, Object
from shared.errors import ApiError, Conflict, NotFound, Refused, RetryLater
from shared.helm import seconds
from shared.resources import CONFIG_MAPS, SECRETS, SYSTEM_NAMESPACE

KEY = "kubeconfig"
ISSUED = "chandlery.dev/issued"
EXPIRES = "chandlery.dev/expires"
MADE_FROM = "chandlery.dev/made-from"
REMAINS = 3
"""It is renewed when less than one part in so many of its life is left."""


@dataclass(frozen=True)
class Server:
    url: str
    ca: str = ""


@dataclass(frozen=True)
class Wanted:
    """All that a kubeconfig is made from, but for the token."""

    server: Server
    user: str
    user_uid: str
    namespace: str
    lifetime: int

    @property
    def inputs(self) -> str:
        parts = [self.server.url, self.server.ca, self.user, self.user_uid, self.namespace, self.lifetime]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    def text(self, token: str) -> str:
        ca = {"certificate-authority-data": base64.b64encode(self.server.ca.encode()).decode()}
        cluster = {"server": self.server.url, **(ca if self.server.ca else {})}
        context = {"cluster": "chandlery", "user": self.user, "namespace": self.namespace}
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "chandlery", "cluster": cluster}],
                "users": [{"name": self.user, "user": {"token": token}}],
                "contexts": [{"name": self.user, "context": context}],
                "current-context": self.user,
            },
            sort_keys=False,
        )


@dataclass(frozen=True)
class Term:
    """From when until when a token is good."""

    issued: datetime
    expires: datetime

    def due(self, now: datetime) -> bool:
        return now >= self.expires - (self.expires - self.issued) / REMAINS


def term_of(secret: Object) -> Term | None:
    """None when it holds no kubeconfig, or does not say until when."""
    annotations = secret["metadata"].get("annotations") or {}
    try:
        term = Term(moment(annotations[ISSUED]), moment(annotations[EXPIRES]))
    except (KeyError, ValueError):
        return None
    return term if (secret.get("data") or {}).get(KEY) else None


def moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def told(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def made_from(secret: Object) -> str | None:
    annotations = secret["metadata"].get("annotations") or {}
    return annotations.get(MADE_FROM)


def needs_renewal(secret: Object | None, now: datetime) -> bool:
    """As far as the Secret itself tells."""
    term = term_of(secret) if secret else None
    return term is None or term.due(now)


async def issue(cluster: Cluster, who: Grantee, account: Object, namespace: str) -> Term:
    """Its kubeconfig is there and good for a while; raises Refused when the Secret's name is taken."""
    server = await server_of(cluster, who.spec.kubeconfig)
    lifetime = int(seconds(who.spec.kubeconfig.lifetime))
    wanted = Wanted(server, who.account, account["metadata"]["uid"], namespace, lifetime)
    secret = await home(cluster, who)
    term = term_of(secret)
    now = datetime.now(UTC)
    if term and not term.due(now) and made_from(secret) == wanted.inputs:
        return term
    return await renew(cluster, who, secret, wanted, now)


async def home(cluster: Cluster, who: Grantee) -> Object:
    """The Secret, made empty: a token is bound to its uid."""
    name = secret_of(who.account)
    secret = await cluster.get(SECRETS, name, SYSTEM_NAMESPACE)
    if secret is None:
        metadata = {"name": name, "namespace": SYSTEM_NAMESPACE, "labels": who.labels}
        try:
            return await cluster.create(SECRETS, {"metadata": metadata, "type": "Opaque"})
        except Conflict as twice:
            raise RetryLater(f"Secret {name} is being made by another event", after=0.1) from twice
    if (secret["metadata"].get("labels") or {}).get(who.MARK) != who.metadata.name:
        fix = "delete it, or choose another name"
        raise Refused("SecretTaken", f"metadata.name: Secret {SYSTEM_NAMESPACE}/{name} is somebody else's; {fix}")
    return secret


async def renew(cluster: Cluster, who: Grantee, secret: Object, wanted: Wanted, now: datetime) -> Term:
    name, uid = secret["metadata"]["name"], secret["metadata"]["uid"]
    bound = {"apiVersion": "v1", "kind": "Secret", "name": name, "uid": uid}
    asked = {"expirationSeconds": wanted.lifetime, "boundObjectRef": bound}
    try:
        issued = (await cluster.token(who.account, SYSTEM_NAMESPACE, asked))["status"]
    except (NotFound, Conflict) as gone:
        raise RetryLater(f"{who.account} or its Secret went away just now: {gone}", after=0.1) from gone
    term = Term(now.replace(microsecond=0), moment(issued["expirationTimestamp"]))
    annotations = {ISSUED: told(term.issued), EXPIRES: told(term.expires), MADE_FROM: wanted.inputs}
    text = base64.b64encode(wanted.text(issued["token"]).encode()).decode()
    # With its uid: a Secret that was deleted meanwhile stays deleted.
    metadata = {"name": name, "namespace": SYSTEM_NAMESPACE, "uid": uid, "annotations": annotations}
    body = {"metadata": metadata | {"labels": who.labels}, "type": "Opaque", "data": {KEY: text}}
    try:
        await cluster.apply(SECRETS, body, "grant_access")
    except Conflict as gone:
        raise RetryLater(f"Secret {name} was deleted meanwhile", after=0.1) from gone
    return term


async def server_of(cluster: Cluster, asked: Kubeconfig) -> Server:
    """As the spec says, else as kubeadm's cluster-info says, else as we know it ourselves."""
    known = parsed(await readable(cluster, "cluster-info", "kube-public"))
    ca = known.ca if known and known.ca else ((await root_ca(cluster)) or "")
    return Server(asked.server or (known.url if known else cluster.server), ca)


async def root_ca(cluster: Cluster) -> str | None:
    found = await readable(cluster, "kube-root-ca.crt", SYSTEM_NAMESPACE)
    text: str | None = (found or {}).get("data", {}).get("ca.crt")
    return text


async def readable(cluster: Cluster, name: str, namespace: str) -> Object | None:
    """None also when we may not know."""
    try:
        return await cluster.get(CONFIG_MAPS, name, namespace, cached=True)
    except ApiError as error:
        if error.status == 403:
            return None
        raise


def parsed(cluster_info: Object | None) -> Server | None:
    try:
        document: Any = yaml.safe_load((cluster_info or {})["data"]["kubeconfig"])
        found = document["clusters"][0]["cluster"]
        ca = base64.b64decode(found.get("certificate-authority-data", ""), validate=True).decode()
        return Server(str(found["server"]), ca)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, yaml.YAMLError):
        return None
