"""What stands in the status of an instance, as its API describes it."""

import hashlib
import json

from shared.structural import Schema


def conditions_schema() -> Schema:
    text: Schema = {"type": "string"}
    return {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "reason"],
            "properties": {
                "type": text,
                "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                "reason": text,
                "message": text,
                "observedGeneration": {"type": "integer", "format": "int64"},
                "lastTransitionTime": {"type": "string", "format": "date-time"},
            },
        },
    }


STATUS: Schema = {
    "type": "object",
    "description": "What became of the request.",
    "properties": {
        "observedGeneration": {"type": "integer", "format": "int64"},
        "conditions": conditions_schema(),
        "release": {
            "type": "object",
            "properties": {
                **{
                    name: {"type": "string"}
                    for name in (
                        "namespace",
                        "name",
                        "chart",
                        "version",
                        "digest",
                        "inputs",
                        "failedInputs",
                        "retryAt",
                        "deployedAt",
                    )
                },
                "revision": {"type": "integer"},
                "offeringGeneration": {"type": "integer", "format": "int64"},
                "failures": {"type": "integer"},
                "secretVersions": {"type": "object", "additionalProperties": {"type": "string"}},
                "resources": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic"},
            },
        },
        "endpoints": {
            "type": "array",
            "x-kubernetes-list-type": "atomic",
            "items": {"type": "object", "properties": {"name": {"type": "string"}, "url": {"type": "string"}}},
        },
        "notes": {"type": "string"},
        "exports": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic"},
        "readyRevision": {"type": "integer"},
        "usage": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}

EDITION = hashlib.sha256(json.dumps(STATUS, sort_keys=True).encode()).hexdigest()[:16]
"""Of a version of ours: an API that was published with another one is published again before it misses anything."""
