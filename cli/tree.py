"""`chandlery resources`: all that an instance owns. What owns what is told by ownerReferences; what the chart made, by
the release's inventory; the rest of the release namespace was made by Chandlery, or by others."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rich.text import Text
from rich.tree import Tree

from cli import finding, kinds, output, session
from cli.finding import Found
from cli.kinds import Kind
from cli.notes import note
from cli.session import Sight
from shared import ownership
from shared.cluster import Cluster, Object
from shared.health import CURRENT, Health, health
from shared.instance import Instance
from shared.resources import NAMESPACES, SECRETS, WORKLOADS

AT_ONCE = 16
LEFT_OUT = {"events", "leases", "endpoints", "podmetrics"}
"""They come and go by themselves, and say nothing of the instance."""
JUDGED = {(resource.group, resource.kind) for resource in WORKLOADS}
"""Of all others only the metadata is read, and so nothing of what is in Secrets."""
STATES = {"True": "Current", "Unknown": "InProgress", "False": "Failed"}
STYLES = {"Current": "green", "InProgress": "yellow", "Failed": "bold red"}


@dataclass
class Node:
    title: str
    state: str = ""
    message: str = ""
    children: list["Node"] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        told = {"object": self.title, "health": self.state, "message": self.message}
        below = {"owns": [each.document() for each in self.children]} if self.children else {}
        return {key: value for key, value in told.items() if value} | below


def resources(
    instance: finding.Instance,
    namespace: finding.Namespace = None,
    output: output.As = output.Format.TABLE,
) -> None:
    """Show everything an instance owns, as a tree, with its health."""
    root, hidden = session.run(lambda cluster: owned(cluster, instance, namespace))
    show(root, output)
    for each in hidden:
        note(f"not visible to you: {each}")


def show(root: Node, how: output.Format) -> None:
    if how == output.Format.TABLE:
        output.show(drawn(root, Tree(label(root))))
    else:
        print(output.document(root.document(), how))


def drawn(node: Node, tree: Tree) -> Tree:
    for child in node.children:
        drawn(child, tree.add(label(child)))
    return tree


def label(node: Node) -> Text:
    text = Text(output.plain(node.title))
    if node.state:
        text.append(f"  {node.state}", style=STYLES.get(node.state, ""))
    if node.message:
        text.append(f"  {output.plain(node.message)}", style="dim")
    return text


async def owned(cluster: Cluster, said: str, namespace: str | None) -> tuple[Node, list[str]]:
    sight = Sight(cluster)
    served = await kinds.served(cluster)
    found = await finding.find(cluster, said, namespace, served)
    instance = Instance.model_validate(found.body)
    release = instance.status.release.namespace
    inside = await everything(sight, release, served) if release else []
    beside = await sight.list(SECRETS, instance.metadata.namespace, metadata_only=True)
    visible = visible_of(sight, served, release) if release else set()
    return root_of(found, instance, beside, inside, visible), sight.hidden


async def everything(sight: Sight, namespace: str, served: Iterable[Kind]) -> list[Object]:
    """All objects in it that may be listed, of whatever kind; each once, in the version its group prefers."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def of(kind: Kind) -> list[Object]:
        async with turns:
            return await sight.list(
                kind.resource, namespace, metadata_only=(kind.resource.group, kind.resource.kind) not in JUDGED
            )

    wanted = {kind.full: kind for kind in served if listable(kind)}
    lists = await asyncio.gather(*[of(kind) for kind in wanted.values()])
    return [each for found in lists for each in found]


def listable(kind: Kind) -> bool:
    return (
        kind.resource.namespaced
        and "list" in kind.verbs
        and kind.preferred
        and kind.resource.plural not in LEFT_OUT
        and not kind.resource.group.startswith("metrics.")
    )


# Pure


def root_of(found: Found, instance: Instance, beside: list[Object], inside: list[Object], visible: set[str]) -> Node:
    ready = instance.condition("Ready")
    title = f"{found.kind.resource.kind} {instance.metadata.namespace}/{instance.metadata.name}"
    state = STATES[ready.status] if ready else ""
    root = Node(title, state, "" if not ready or ready.true else f"{ready.reason}: {ready.message}")
    root.children += trees([each for each in beside if owned_by(each, instance.metadata.uid)])
    release = instance.status.release
    if release.namespace:
        root.children.append(home(release.namespace, release.resources, inside, visible))
    return root


def owned_by(body: Object, uid: str) -> bool:
    return any(each.get("uid") == uid for each in body["metadata"].get("ownerReferences") or ())


def home(namespace: str, inventory: list[str], inside: list[Object], visible: set[str]) -> Node:
    by_uid = {each["metadata"]["uid"] for each in inside}
    top = [each for each in inside if not any(owned_by(each, uid) for uid in owners(each) & by_uid)]
    chart = [each for each in top if inventory_name(each) in inventory]
    ours = [each for each in top if each not in chart and is_ours(each)]
    others = [each for each in top if each not in chart and each not in ours]
    there = {inventory_name(each) for each in inside}
    gone = [
        Node(each, "Failed", "is gone") for each in inventory if each not in there and each.partition("/")[0] in visible
    ]
    groups = (
        Node("by the chart", children=trees(chart, inside) + gone),
        Node("by Chandlery", children=trees(ours, inside)),
        Node("by others", children=trees(others, inside)),
    )
    return Node(f"{NAMESPACES.kind} {namespace}", children=[each for each in groups if each.children])


def owners(body: Object) -> set[str]:
    return {each.get("uid", "") for each in body["metadata"].get("ownerReferences") or ()}


def judged(body: Object) -> Health:
    """Of those kinds that have a health; all others are what they are."""
    group = body["apiVersion"].rpartition("/")[0]
    return health(body) if (group, body["kind"]) in JUDGED else CURRENT


def inventory_kind(kind: Kind) -> str:
    group = kind.resource.group
    return f"{kind.resource.kind.lower()}{group and '.' + group}"


def visible_of(sight: Sight, served: Iterable[Kind], namespace: str) -> set[str]:
    """Kinds that would be seen if they were there: absence is told from blindness."""
    found = [kind for kind in served if listable(kind) and sight.sees(kind.resource, namespace)]
    return {inventory_kind(kind) for kind in found}


def inventory_name(body: Object) -> str:
    """As status.release.resources has it: kind.group/name."""
    group = body["apiVersion"].rpartition("/")[0]
    return f"{body['kind'].lower()}{group and '.' + group}/{body['metadata']['name']}"


def is_ours(body: Object) -> bool:
    """Helm keeps its releases in Secrets; what made them asked Chandlery to."""
    labels = body["metadata"].get("labels") or {}
    return labels.get(ownership.MANAGED_BY) == ownership.MANAGER or labels.get("owner") == "helm"


def trees(tops: Iterable[Object], all_of_them: Iterable[Object] = ()) -> list[Node]:
    """Each with what it owns, and so on. An object is shown below the first of its owners."""
    below: dict[str, list[Object]] = {}
    for each in all_of_them:
        references = each["metadata"].get("ownerReferences") or ()
        if references:
            below.setdefault(references[0].get("uid", ""), []).append(each)

    def node(body: Object, seen: frozenset[str]) -> Node:
        uid = body["metadata"].get("uid", "")
        found = judged(body)
        owned = [] if uid in seen else below.get(uid, [])
        title = f"{body['kind']} {body['metadata']['name']}"
        return Node(title, found.state, found.message, [node(each, seen | {uid}) for each in ordered(owned)])

    return [node(each, frozenset()) for each in ordered(tops)]


def ordered(bodies: Iterable[Object]) -> list[Object]:
    return sorted(bodies, key=lambda each: (each["kind"], each["metadata"]["name"]))
