"""The schemas of payloads, as msgspec has them, or pydantic, whichever makes the payload."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from job_service.jobs.registration.payload import PayloadDecoder
from job_service.jobs.registration.pydantic_models import PydanticDecoder
from job_service.telemetry.schemas import Schema
from job_service.web.openapi.components import REFERENCE
from job_service.web.openapi.names import rename, take_name

# Names begin with one of these until all are known: a Struct and a model may have the same one.
_OF_MSGSPEC: Final = "payload."
_OF_PYDANTIC: Final = "model."


def payload_schemas(
    decoders: Iterable[PayloadDecoder], taken: set[str]
) -> tuple[list[Schema], dict[str, Schema]]:
    """The schema of each payload, and the named schemas that they refer to.

    Each has the name of its class, or one like it that is not yet in `taken`.
    """
    all_decoders = list(decoders)
    models = {
        id(decoder): decoder for decoder in all_decoders if isinstance(decoder, PydanticDecoder)
    }
    others = [decoder for decoder in all_decoders if id(decoder) not in models]
    schemas, named = _of_pydantic(models) if models else ({}, {})
    of_others, named_by_msgspec = msgspec.json.schema_components(
        [_describable(decoder.type) for decoder in others],
        ref_template=REFERENCE.format(name=f"{_OF_MSGSPEC}{{name}}"),
    )
    for decoder, schema in zip(others, of_others, strict=True):
        schemas[id(decoder)] = schema
    named |= {f"{_OF_MSGSPEC}{name}": schema for name, schema in named_by_msgspec.items()}
    return _with_names_of_classes([schemas[id(decoder)] for decoder in all_decoders], named, taken)


def _with_names_of_classes(
    schemas: list[Schema], named: dict[str, Schema], taken: set[str]
) -> tuple[list[Schema], dict[str, Schema]]:
    names = {name: take_name(name.partition(".")[2], taken) for name in named}
    references = {
        REFERENCE.format(name=old): REFERENCE.format(name=new) for old, new in names.items()
    }
    for schema in named.values():
        schema.pop("title", None)  # which generators prefer to the name, and others may have it
    renamed = {names[name]: rename(schema, references) for name, schema in named.items()}
    return rename(schemas, references), renamed


def _of_pydantic(
    decoders: dict[int, PydanticDecoder],
) -> tuple[dict[int, Schema], dict[str, Schema]]:
    """Their schemas, by the same keys, and the named ones that these refer to."""
    from pydantic import TypeAdapter

    schemas, rest = TypeAdapter.json_schemas(
        [(key, "validation", decoder.adapter) for key, decoder in decoders.items()],
        ref_template=REFERENCE.format(name=f"{_OF_PYDANTIC}{{model}}"),
    )
    named = {f"{_OF_PYDANTIC}{name}": schema for name, schema in rest.get("$defs", {}).items()}
    return {key: schema for (key, _), schema in schemas.items()}, named


def _describable(payload_type: Any) -> Any:
    try:
        msgspec.json.schema(payload_type)
    except (TypeError, ValueError):  # such as `object`, which takes any JSON
        return Any
    return payload_type
