"""The published description of the API (OpenAPI 3.1), made of the table of operations."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.json import schema, schema_components

from sentinetd import __version__
from sentinetd.control.peers import Right
from sentinetd.control.requests import JSON, OPERATIONS, Operation, Problem

REFERENCE = "#/components/schemas/{name}"
PATH = "/v1/openapi.json"
ANY = {400: "The request is not understood.", 403: "You may not."}
TOKEN = {401: "The token is missing or wrong (loopback only)."}


def description() -> dict[str, Any]:
    """The whole description as a JSON value."""
    bodies = [one.body for one in OPERATIONS if one.body is not None]
    nouns = list(dict.fromkeys([Problem, *bodies, *(one.answer for one in OPERATIONS if one.answer is not None)]))
    references, components = schema_components(nouns, ref_template=REFERENCE)
    forms = dict(zip(nouns, references, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for one in OPERATIONS:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, forms)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "sentinetd",
            "version": __version__,
            "summary": "What runs, who is banned, and why.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "On loopback only."}},
        },
        "security": [{}, {"token": []}],
    }


def _operation(one: Operation, forms: dict[Any, Any]) -> dict[str, Any]:
    problem = {"content": {JSON: {"schema": forms[Problem]}}}
    content = {one.media: {"schema": {"type": "string"} if one.answer is None else forms[one.answer]}}
    responses: dict[str, Any] = {"200": {"description": "Done.", "content": content}}
    for status, text in sorted({**ANY, **TOKEN, **dict(one.failures)}.items()):
        failure = problem if one.name not in ("health", "readiness") or status != 503 else {"content": content}
        responses[str(status)] = {"description": text, **failure}
    told: dict[str, Any] = {
        "operationId": one.name,
        "summary": one.doc,
        "tags": ["change" if one.right is Right.CHANGE else "read"],
        "parameters": _parameters(one.query),
        "responses": responses,
    }
    if one.body is not None:
        told["requestBody"] = {"required": True, "content": {JSON: {"schema": forms[one.body]}}}
    return told


def _parameters(query: type[Struct]) -> list[dict[str, Any]]:
    """The fields of *query* as parameters of the address."""
    whole = schema(query)
    named = whole["$defs"][query.__name__]
    return [
        {
            "name": name,
            "in": "query",
            "required": name in named.get("required", ()),
            "schema": _plain(form, whole["$defs"]),
            **({"description": form["description"]} if "description" in form else {}),
        }
        for name, form in named["properties"].items()
    ]


def _plain(form: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """*form* without references, and without null: what is not given is left out."""
    if "$ref" in form:
        return {**known[form["$ref"].rpartition("/")[2]], **{k: v for k, v in form.items() if k != "$ref"}}
    if "anyOf" in form:
        others = [one for one in form["anyOf"] if one != {"type": "null"}]
        rest = {key: value for key, value in form.items() if key not in ("anyOf", "default")}
        return {**_plain(others[0], known), **rest}
    return {key: value for key, value in form.items() if key != "default" or value is not None}
