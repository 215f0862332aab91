"""In whose name a request that came over NATS is carried out: a Consumer or Provider that takes part in that."""

from events.requests import Request
from shared.access import Consumer, Grantee, Provider
from shared.cluster import Cluster
from shared.errors import ApiError, Refused, RetryLater
from shared.offering import Offering
from shared.resources import OFFERINGS, Resource

KINDS: dict[str, type[Consumer | Provider]] = {"consumer": Consumer, "provider": Provider}


async def sender_of(cluster: Cluster, sender: str) -> Consumer | Provider:
    kind, _, name = sender.partition("/")
    model = KINDS[kind]
    found = await cluster.get(model.RESOURCE, name)
    who = model.model_validate(found) if found else None
    if who is None or who.withdrawn:
        raise Refused(
            "UnknownSender", f"subject: there is no {model.RESOURCE.kind} {name}; publish as one that there is"
        )
    if not who.spec.nats:
        fix = f"an administrator sets spec.nats of {model.RESOURCE.kind} {name} to true"
        raise Refused("NotByNats", f"subject: {name} takes no part in this; {fix}")
    return who


def not_yet(error: ApiError, who: Grantee) -> bool:
    """Whether it was us who lacked the right to act as the sender: grant_access gives it a moment after `spec.nats`."""
    return error.status == 403 and "cannot impersonate" in error.message and who.account in error.message


async def offering_for(cluster: Cluster, request: Request) -> Offering:
    """The one it names, or whose kind it names. One that was never published is as good as none."""
    listed = (await cluster.list(OFFERINGS, cached=True))["items"]
    for offering in (Offering.model_validate(each) for each in listed):
        if names(request, offering) and offering.status.api.crd == offering.crd:
            return offering
    if request.offering is not None:
        raise Refused("UnknownOffering", f"offering: there is no Offering {request.offering} to order from")
    raise Refused("UnknownKind", f"kind: no Offering has {request.kind} in {request.api_version}")


def names(request: Request, offering: Offering) -> bool:
    if request.offering is not None:
        return offering.metadata.name == request.offering
    group = (request.api_version or "").rpartition("/")[0]
    return (offering.spec.api.group, offering.spec.api.kind) == (group, request.kind)


def kind_of(request: Request, offering: Offering) -> Resource:
    """In the version that the request speaks of; of an Offering by its name, the version its parameters are in."""
    api = offering.spec.api
    version = (request.api_version or "").rpartition("/")[2] if request.offering is None else api.version
    return Resource(api.group, version, offering.plural, api.kind)


def retry_if_not_yet(error: ApiError, who: Grantee) -> None:
    if not_yet(error, who):
        raise RetryLater(f"acting as {who.account} is not granted yet") from error
