"""The API against its own description, by schemathesis; and what each caller may do."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from jsonschema import Draft202012Validator
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from control.desk import ROOT, GivenDesk, application
from sentinetd.control.openapi import description
from sentinetd.control.peers import Peer, Right, right_of
from sentinetd.control.requests import OPERATIONS
from sentinetd.model.address import Address, Network
from sentinetd.model.ban import Origin
from sentinetd.model.kept import Order
from sentinetd.model.order import Exempt, ImposeBans, LiftAllBans, LiftBans, Refusal, Reload, WantedBan
from sentinetd.model.settings import ControlSettings

READER = Peer(1000, 2, frozenset({1000, 200}))
ADMIN = Peer(1001, 3, frozenset({1001, 200, 300}))
STRANGER = Peer(1002, 4, frozenset({1002}))
OWNER = Peer(990, 5, frozenset({990}))
SETTINGS = ControlSettings(owner=990, readers=200, admins=300)


def asked(desk: GivenDesk, method: str, path: str, peer: Peer | None = ROOT, **more: Any) -> httpx.Response:
    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(application(desk, peer, SETTINGS))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, **more)

    return asyncio.run(call())


def endless(operation: Any) -> bool:
    """A stream has no end that a check could wait for, and a test-fire takes its time."""
    return operation.path in ("/v1/events", "/v1/test-fire")


_DESK = GivenDesk()
whole = schemathesis.openapi.from_dict(description(), config=SchemathesisConfig.from_dict({}))
schema = whole.exclude(func=lambda ctx: endless(ctx.operation))


@schema.parametrize()
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_described(case: Any) -> None:
    response = case.call(app=application(_DESK))
    case.validate_response(
        response,
        checks=[not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
                unsupported_method],
    )  # fmt: skip


def test_the_description_is_complete() -> None:
    told = description()
    named = {one["operationId"] for path in told["paths"].values() for one in path.values()}
    assert named == {one.name for one in OPERATIONS}
    for form in told["components"]["schemas"].values():
        Draft202012Validator.check_schema(form)
    assert "description" in told["components"]["schemas"]["Status"]


@pytest.mark.parametrize(
    ("peer", "right"),
    [
        pytest.param(ROOT, Right.CHANGE, id="root"),
        pytest.param(OWNER, Right.CHANGE, id="whoever the daemon runs as"),
        pytest.param(ADMIN, Right.CHANGE, id="a member of admins"),
        pytest.param(READER, Right.READ, id="a member of the socket's group"),
        pytest.param(STRANGER, Right.NONE, id="anybody else"),
    ],
)
def test_who_may_what(peer: Peer, right: Right) -> None:
    assert right_of(peer, SETTINGS) is right
    assert asked(GivenDesk(), "GET", "/v1/status", peer).status_code == (403 if right is Right.NONE else 200)
    ban = {"networks": ["192.0.2.7"], "seconds": 60}
    changed = asked(GivenDesk(), "POST", "/v1/bans", peer, json=ban).status_code
    assert changed == (200 if right is Right.CHANGE else 403)


def test_without_groups_nobody_else_may_anything() -> None:
    assert right_of(READER, ControlSettings(owner=990)) is Right.NONE


@pytest.mark.parametrize(
    ("method", "path", "body", "order"),
    [
        pytest.param(
            "POST", "/v1/bans",
            {"networks": ["192.0.2.7", "192.0.2.7/32", "2001:db8::/64"], "seconds": 60, "note": "n"},
            ImposeBans((WantedBan(Network.parse("192.0.2.7"), 60.0, "n"),
                        WantedBan(Network.parse("2001:db8::/64"), 60.0, "n")), Origin.OPERATOR),
            id="ban, each once",
        ),
        pytest.param(
            "POST", "/v1/bans", {"networks": ["192.0.2.7"], "seconds": None},
            ImposeBans((WantedBan(Network.parse("192.0.2.7"), math.inf, ""),), Origin.OPERATOR), id="ban for ever",
        ),
        pytest.param("DELETE", "/v1/bans?network=192.0.2.0/24", None, LiftBans((Network.parse("192.0.2.0/24"),)),
                     id="lift"),
        pytest.param("DELETE", "/v1/bans?all=true", None, LiftAllBans(), id="lift all"),
        pytest.param("POST", "/v1/exemptions", {"network": "192.0.2.7", "seconds": 5.5},
                     Exempt(Network.parse("192.0.2.7"), 5.5, ""), id="exempt"),
        pytest.param("POST", "/v1/reload", {}, Reload(), id="reload"),
        pytest.param("POST", "/v1/reload", {"source": "192.0.2.7"}, Reload(Address.parse("192.0.2.7")),
                     id="reload, by somebody who is logged in from elsewhere"),
    ],
)  # fmt: skip
def test_orders_reach_the_guard_with_who_gave_them(method: str, path: str, body: Any, order: Any) -> None:
    desk = GivenDesk()
    words = {} if body is None else {"json": body}
    assert asked(desk, method, path, ADMIN, **words).status_code == 200
    assert [(given, who.partition(" (")[0]) for given, who in desk.orders] == [(order, "uid 1001")]


@pytest.mark.parametrize(
    ("method", "path", "words", "status"),
    [
        pytest.param("POST", "/v1/bans", {"content": b"{"}, 400, id="no JSON"),
        pytest.param("POST", "/v1/bans", {"content": b""}, 400, id="nothing"),
        pytest.param("POST", "/v1/bans", {"content": b"[" * 100_000}, 400, id="nested too deeply"),
        pytest.param("POST", "/v1/bans", {"json": {"networks": ["192.0.2.7"]}}, 400, id="without its span"),
        pytest.param("POST", "/v1/bans", {"json": {"networks": ["192.0.2.7/33"], "seconds": 1}}, 400, id="no network"),
        pytest.param("POST", "/v1/bans", {"json": {"networks": ["192.0.2.7"], "seconds": "1"}}, 400, id="a text"),
        pytest.param("POST", "/v1/bans", {"json": {"networks": [], "seconds": 1}}, 400, id="nobody"),
        pytest.param("POST", "/v1/bans", {"content": b" " * ((1 << 20) + 1)}, 413, id="too long"),
        pytest.param("DELETE", "/v1/bans", {}, 400, id="lift what"),
        pytest.param("DELETE", "/v1/bans?network=192.0.2.7&all=true", {}, 400, id="both"),
        pytest.param("PUT", "/v1/bans", {}, 405, id="another method"),
        pytest.param("GET", "/v1/bans?offset=-1", {}, 400, id="before the first"),
        pytest.param("GET", "/v1/explain?address=192.0.2.0/24", {}, 400, id="a network for an address"),
        pytest.param("GET", "/v1/events?recent=501", {}, 400, id="more than is kept"),
    ],
)
def test_what_is_not_understood_reaches_nobody(method: str, path: str, words: dict[str, Any], status: int) -> None:
    desk = GivenDesk()
    answer = asked(desk, method, path, **words)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert not desk.orders


def test_a_silent_guard_is_told() -> None:
    desk = GivenDesk()
    desk.silent = True
    for path in ("/v1/status", "/v1/services", "/v1/servers", "/v1/bans", "/v1/explain?address=::1", "/metrics"):
        answer = asked(desk, "GET", path)
        assert (answer.status_code, "said nothing" in answer.json()["error"]) == (503, True), path
    why = "the guard said nothing for 5 seconds; see its log"
    assert asked(desk, "GET", "/healthz").json() == {"ok": False, "why": why}


def test_what_the_guard_refuses() -> None:
    desk = GivenDesk()
    desk.refuse = (Refusal(Network.parse("127.0.0.1"), "it is exempt"),)
    answer = asked(desk, "POST", "/v1/bans", json={"networks": ["127.0.0.1"], "seconds": 60})
    assert (answer.status_code, answer.json()) == (409, {"error": "127.0.0.1: it is exempt"})


def test_filters_of_bans() -> None:
    desk = GivenDesk()
    path = "/v1/bans?network=192.0.2.9/24&sensor=trap&ended=true&sort=trips&ascending=true&limit=5&offset=10"
    assert asked(desk, "GET", path).json()["total"] == 1
    (query,) = desk.queries
    assert (str(query.network), query.sensor, query.active, query.order) == ("192.0.2.0/24", "trap", False, Order.TRIPS)
    assert (query.descending, query.limit, query.offset) == (False, 5, 10)


TOKEN = ControlSettings(token="0123456789abcdef0123456789abcdef")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:7077", "[::1]:7077"])
def test_the_token_opens_loopback(host: str) -> None:
    async def call(headers: dict[str, str]) -> int:
        transport = httpx.ASGITransport(application(GivenDesk(), None, TOKEN))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return (await client.get("/v1/status", headers={"Host": host, **headers})).status_code

    assert asyncio.run(call({"Authorization": f"Bearer {TOKEN.token}"})) == 200
    assert asyncio.run(call({})) == 401
    assert asyncio.run(call({"Authorization": "Bearer "})) == 401


def test_no_token_is_set_and_none_is_given() -> None:
    assert asked(GivenDesk(), "GET", "/v1/status", None, headers={"Authorization": "Bearer "}).status_code == 401


def test_series_and_times() -> None:
    answer = asked(GivenDesk(), "GET", "/v1/series?span=3600&step=600").json()
    assert (answer["step"], len(answer["trips"])) == (600, 7)
    assert answer["start"] % 60 == 0
    assert json.dumps(answer)
