"""One builder for each kind, with what matters to a test as keywords."""

from typing import Any

from events.base import InstanceKey
from shared import statuses
from shared.instance import Instance
from shared.offering import Offering

KEY = InstanceKey(
    offering="database",
    group="acme.example.com",
    version="v1alpha1",
    plural="databases",
    kind="Database",
    namespace="team-a",
    name="orders",
    uid="11111111-1111-1111-1111-111111111111",
)


def condition(
    kind: str, status: str = "True", reason: str = "Because", generation: int = 1, **more: Any
) -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "observedGeneration": generation, **more}


def offering(*, generation: int = 1, status: dict[str, Any] | None = None, **spec: Any) -> Offering:
    published = {
        "conditions": [condition("Ready", generation=generation)],
        "chart": {"name": "postgres", "version": "1.0.0", "digest": "sha256:" + "a" * 64},
        "api": {"crd": "databases.acme.example.com", "statusEdition": statuses.EDITION},
    }
    return Offering.model_validate(
        {
            "metadata": {"name": "database", "uid": "o-1", "generation": generation},
            "spec": {
                "chart": {"url": "https://charts.example.com/postgres-1.0.0.tgz"},
                "api": {"group": "acme.example.com", "kind": "Database"},
                **spec,
            },
            "status": published if status is None else status,
        }
    )


def instance(*, generation: int = 1, status: dict[str, Any] | None = None, **metadata: Any) -> Instance:
    spec = metadata.pop("spec", {})
    return Instance.model_validate(
        {
            "metadata": {
                "name": "orders",
                "namespace": "team-a",
                "uid": KEY.uid,
                "generation": generation,
                "finalizers": ["chandlery.dev/release"],
                **metadata,
            },
            "spec": spec,
            "status": status or {},
        }
    )


def deployed(*, generation: int = 1, offering_generation: int = 1, **more: Any) -> dict[str, Any]:
    """The status of an instance that went all the way."""
    return {
        "conditions": [
            condition(kind, generation=generation) for kind in ("Accepted", "Isolated", "Deployed", "Ready")
        ],
        "release": {
            "namespace": "database-team-a-orders-abc123",
            "name": "orders",
            "revision": 1,
            "digest": "sha256:" + "a" * 64,
            "offeringGeneration": offering_generation,
        },
        **more,
    }
