"""The OpenAPI document as a page: one HTML file without scripts that loads nothing."""

import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

STYLE: Final = files(__package__).joinpath("page.css").read_text()
STYLE_HASH: Final = b64encode(sha256(STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

# Of the page that asks for a token, and then takes in that one.
ASKING_POLICY: Final = (
    f"default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    f"style-src 'self' 'sha256-{STYLE_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def render_page(document: dict[str, Any]) -> str:
    """The page of an OpenAPI document of ours."""
    templates = Environment(
        loader=PackageLoader("job_service.web.openapi", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"prose": _prose, "kind": _kind, "shown": _shown}
    return templates.get_template("page.html").render(
        document=document,
        style=Markup(STYLE),  # noqa: S704  (a file of ours)
        operations=list(_operations(document)),
        named=document["components"]["schemas"],
        job_types=list(_job_types(document["components"]["schemas"])),
    )


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield {"method": method.upper(), "path": path, **operation}


def _job_types(named: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each job type, and the name of the schema of its submissions."""
    variants = named["Submission"].get("discriminator", {"mapping": {}})["mapping"]
    for job_type, reference in variants.items():
        yield job_type, reference.rpartition("/")[2]


def _prose(text: str) -> Markup:
    """Text, with its `names` as code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704


def _shown(value: Any) -> str:
    """An example as a client sees it."""
    if isinstance(value, str):
        return value
    return msgspec.json.format(msgspec.json.encode(value)).decode()


def _kind(schema: dict[str, Any]) -> Markup:
    """What a value may be, in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Markup('<a href="#schema-{0}">{0}</a>').format(name)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return Markup(" or ").join(map(_kind, schema[word]))
    if "const" in schema:
        return Markup("<code>{}</code>").format(schema["const"])
    if "enum" in schema:
        return Markup(" or ").join(map(Markup("<code>{}</code>").format, schema["enum"]))
    if "contentSchema" in schema:
        return Markup("JSON: {}").format(_kind(schema["contentSchema"]))
    kind: str = schema.get("type", "any JSON")
    if kind == "array":
        members = schema.get("prefixItems") or [schema.get("items", {})]
        return Markup("array of {}").format(Markup(", ").join(map(_kind, members)))
    facets = [kind, *([schema["format"]] if "format" in schema else [])]
    for word, sign in _FACETS.items():
        if word in schema:
            facets.append(Markup("{} <code>{}</code>").format(sign, schema[word]))
    return Markup(", ").join(facets)


_FACETS: Final = {
    "minimum": "from",
    "exclusiveMinimum": "above",
    "maximum": "to",
    "exclusiveMaximum": "below",
    "minLength": "at least characters:",
    "maxLength": "at most characters:",
    "pattern": "like",
    "default": "default",
}
