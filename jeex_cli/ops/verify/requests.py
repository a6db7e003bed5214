"""The OpenAPI document as attacks: every place of every route where an id can stand. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
SAFE = ("GET", "HEAD", "OPTIONS")
_DEPTH = 6  # of schemas within schemas


@dataclass(frozen=True, slots=True)
class Place:
    """Where a foreign id is put: of this kind, into `path` (a template), the query or the body, by that name.

    `bodies` are those that may be well-formed, the likeliest first; None where the route takes none. `declared`: the
    document has this method for the path.
    """

    method: str
    path: str
    where: str
    name: str
    kind: str
    bodies: tuple[Any, ...] = (None,)
    declared: bool = True

    @property
    def said(self) -> str:
        """The attack in words."""
        return f"{self.method} {self.path} with the other's {self.kind} in the {self.where}"


def places(document: Mapping[str, Any], kinds: tuple[str, ...]) -> Iterator[Place]:
    """Every place of the document; a path with an id is attacked with the methods that it does not have, too."""
    for path, item in document["paths"].items():
        for method in METHODS:
            operation = item.get(method.lower())
            if operation is None:
                for name in _ids(item, next(iter(_operations(item)), {}), "path"):
                    yield from _of_kinds(Place(method, path, "path", name, "", declared=False), kinds)
                continue
            bodies = tuple(_bodies(document, operation)) or (None,)
            for where in ("path", "query"):
                for name in _ids(item, operation, where):
                    yield from _of_kinds(Place(method, path, where, name, "", bodies), kinds)
            for name in _body_ids(document, operation):
                yield from _of_kinds(Place(method, path, "body", name, "", bodies), kinds)


def lists(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What can be read without an id: paths with their operation. No streams."""
    for path, item in document["paths"].items():
        if "get" in item and "{" not in path and not streams(item["get"]):
            yield path, item["get"]


def makers(document: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Where something is made: paths without an id, with bodies for them."""
    for path, item in document["paths"].items():
        if "post" in item and "{" not in path:
            bodies = tuple(one for one in _bodies(document, item["post"]) if isinstance(one, dict))
            if bodies:
                yield path, bodies


def event_streams(document: Mapping[str, Any]) -> list[str]:
    """Paths that answer with server-sent events."""
    return [path for path, item in document["paths"].items() if streams(item.get("get", {})) and "{" not in path]


def streams(operation: Mapping[str, Any]) -> bool:
    """Whether the answer is a stream of events."""
    return any("text/event-stream" in one.get("content", {}) for one in operation.get("responses", {}).values())


def filled(place: Place, foreign: str, own: Mapping[str, str]) -> str:
    """The path with `foreign` in its place; other ids in it are one's own, by kind."""
    path = place.path
    for part in path.split("/"):
        if part.startswith("{") and part.endswith("}"):
            name = part[1:-1]
            value = foreign if place.where == "path" and name == place.name else own.get(kind_of(name, ()) or "", foreign)
            path = path.replace(part, value)
    return f"{path}?{place.name}={foreign}" if place.where == "query" else path


def kind_of(name: str, kinds: tuple[str, ...]) -> str | None:
    """What a parameter of that name is the id of; None where the name does not say."""
    kind = name.removesuffix("_id")
    return kind if kind != name and (not kinds or kind in kinds) else None


def _of_kinds(place: Place, kinds: tuple[str, ...]) -> Iterator[Place]:
    """One place for the kind that the name says, one for each where it says none."""
    known = kind_of(place.name, kinds)
    for kind in (known,) if known else kinds:
        yield replace(place, kind=kind)


def _operations(item: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [one for method, one in item.items() if method.upper() in METHODS]


def _ids(item: Mapping[str, Any], operation: Mapping[str, Any], where: str) -> list[str]:
    parameters = [*item.get("parameters", ()), *operation.get("parameters", ())]
    return [one["name"] for one in parameters if one["in"] == where and _is_id(one["name"], one.get("schema", {}))]


def _is_id(name: str, schema: Mapping[str, Any]) -> bool:
    formats = [one.get("format") for one in (schema, *schema.get("anyOf", ()))]
    return "uuid" in formats or name == "id" or name.endswith("_id")


def _schema(document: Mapping[str, Any], operation: Mapping[str, Any]) -> Mapping[str, Any] | None:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    return _resolved(document, content["schema"]) if content else None


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def _body_ids(document: Mapping[str, Any], operation: Mapping[str, Any]) -> list[str]:
    schema = _schema(document, operation) or {}
    return [name for name, one in schema.get("properties", {}).items() if _is_id(name, _resolved(document, one))]


def _bodies(document: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[Any]:
    """Bodies that should pass: what is required; what is required and one more, since a change must change something."""
    schema = _schema(document, operation)
    if schema is None:
        return
    properties, required = schema.get("properties", {}), list(schema.get("required", ()))
    if required:
        yield {name: _value(document, properties[name], name) for name in required}
    yield from schema.get("examples", ())
    for name in properties:
        if name not in required:
            yield {one: _value(document, properties[one], one) for one in [*required, name]}


def _value(document: Mapping[str, Any], schema: Mapping[str, Any], name: str, depth: int = 0) -> Any:
    """Something of that schema."""
    schema = _resolved(document, schema)
    for some in ("anyOf", "oneOf", "allOf"):
        if some in schema:
            return _value(document, schema[some][0], name, depth + 1)
    if "const" in schema or "enum" in schema:
        return schema.get("const", *schema.get("enum", (None,))[:1])
    kind = schema.get("type")
    if kind == "object":
        properties = schema.get("properties", {}) if depth < _DEPTH else {}
        return {
            one: _value(document, properties[one], one, depth + 1) for one in properties if one in schema.get("required", ())
        }
    plain = {"array": [], "boolean": True, "integer": schema.get("minimum", 1), "number": schema.get("minimum", 1)}
    return plain[kind] if kind in plain else _text(schema, name)


def _text(schema: Mapping[str, Any], name: str) -> str:
    """A text that is unlikely to be taken, of the form that the schema's first example has."""
    new = secrets.token_hex(8)
    form = schema.get("format")
    if form == "uuid":
        return "00000000-0000-7000-8000-000000000000"
    if form == "date-time":
        return "2100-01-01T00:00:00Z"
    if form == "email" or "email" in name:
        return f"x{new}@canary.invalid"
    return f"x{new}"
