"""The body of a submission: a schema and an example for each job type of a registry."""

import inspect
from collections.abc import Iterable
from itertools import combinations
from typing import Any

import msgspec

from job_service.errors import InvalidPayload
from job_service.jobs.queueing.options import OPTIONS
from job_service.jobs.registration.job_type import JobType
from job_service.jobs.registration.registry import Registry
from job_service.telemetry.schemas import Schema
from job_service.web.openapi.components import REFERENCE
from job_service.web.openapi.names import take_name
from job_service.web.openapi.payloads import payload_schemas


def describe_submissions(
    registry: Registry, others: Iterable[str] = ()
) -> tuple[dict[str, Schema], dict[str, Any]]:
    """The named schema `Submission` with those it refers to, and an example for each job type.

    No name is one of `others`.
    """
    job_types = [registry.lookup(name) for name in registry.names]
    taken = {"submission", *map(str.lower, others)}
    names = [take_name(f"{job_type.name}_submission", taken) for job_type in job_types]
    payloads, named = payload_schemas([job_type.payload_decoder for job_type in job_types], taken)
    options = {name: _described(msgspec.json.schema(kind)) for name, kind in OPTIONS.items()}
    for name, job_type, payload in zip(names, job_types, payloads, strict=True):
        named[name] = _variant(job_type, payload, options)
    named["Submission"] = _any_of(dict(zip(registry.names, names, strict=True)))
    examples = {}
    for job_type, payload in zip(job_types, payloads, strict=True):
        try:
            value = _sample(payload, named)
            job_type.check_payload(msgspec.json.encode(value))
        except (InvalidPayload, RecursionError):
            continue  # not for every type can a value be made up
        examples[job_type.name] = {"value": {"type": job_type.name, "payload": value}}
    return named, examples


def _any_of(variants: dict[str, str]) -> Schema:
    """The schema of a submission; `variants` has the schema's name for each job type."""
    if not variants:
        return {"description": "There is no job type, and so no job.", "not": {}}
    references = {job_type: REFERENCE.format(name=name) for job_type, name in variants.items()}
    return {
        "title": "Submission",
        "description": "A job to be run, one variant for each job type of this service.",
        "oneOf": [{"$ref": reference} for reference in references.values()],
        "discriminator": {"propertyName": "type", "mapping": references},
    }


def _described(schema: Schema) -> Schema:
    """A schema of something or null, with the description of the something."""
    if "anyOf" not in schema:
        return schema
    kinds = [dict(kind) for kind in schema["anyOf"]]
    descriptions = [kind.pop("description") for kind in kinds if "description" in kind]
    return {**schema, "anyOf": kinds, "description": " ".join(descriptions)}


def _variant(job_type: JobType, payload: Schema, options: dict[str, Schema]) -> Schema:
    try:
        job_type.check_payload(job_type.absent_payload)
    except InvalidPayload:
        required = ["type", "payload"]
    else:
        required = ["type"]
    if job_type.absent_payload != b"null":
        payload = {**payload, "default": msgspec.json.decode(job_type.absent_payload)}
    return {
        "description": inspect.getdoc(job_type.handler) or "",
        "type": "object",
        "properties": {"type": {"const": job_type.name}, "payload": payload, **options},
        "required": required,
        "additionalProperties": False,
        "not": {
            "anyOf": [
                {"required": [one, other]}
                for one, other in combinations(("delay_seconds", "run_at", "debounce_seconds"), 2)
            ]
        },
        "dependentRequired": {"debounce_seconds": ["unique_key"]},
    }


def _sample(schema: Schema, named: dict[str, Schema]) -> Any:
    """A small value that usually fits the schema."""
    if "$ref" in schema:
        return _sample(named[schema["$ref"].rpartition("/")[2]], named)
    if variants := schema.get("anyOf") or schema.get("oneOf"):
        return None if {"type": "null"} in variants else _sample(variants[0], named)
    if "const" in schema:
        return schema["const"]
    if choices := schema.get("examples") or schema.get("enum"):
        return choices[0]
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
    by_type: dict[str | None, Any] = {
        "object": lambda: {
            name: _sample(schema["properties"][name], named) for name in schema.get("required", [])
        },
        "array": lambda: [
            _sample(item, named)
            for item in schema.get("prefixItems")
            or [schema.get("items", {})] * schema.get("minItems", 0)
        ],
        "string": lambda: "text".ljust(schema.get("minLength", 0), "."),
        "integer": lambda: low,
        "number": lambda: low,
        "boolean": lambda: True,
        "null": lambda: None,
    }
    return by_type.get(schema.get("type"), lambda: {"any": "JSON"})()
