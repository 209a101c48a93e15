"""What stands in a request, as the nouns it should be; what is not of that form is `Refused`, with a way out."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request

from sentinetd.control import openapi
from sentinetd.model.address import Address, Network

BODY_MOST = 1 << 20
"""Bytes of a request's body."""


class Refused(Exception):
    """The request is not carried out: *status* and why."""

    def __init__(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers or {}


def read_parameters(request: Request) -> list[tuple[str, str]]:
    """The parameters of the address; Refused if one is there twice."""
    pairs = request.query_params.multi_items()
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise Refused(400, f"{name} is given twice")
    return pairs


def read_as(form: type[Any], value: Any, *, strict: bool = False) -> Any:
    """*value* as a *form*. Refused if it is not one."""
    try:
        return msgspec.convert(value, form, strict=strict)
    except msgspec.ValidationError as error:
        raise Refused(400, f"{error}; {openapi.PATH} has the form") from None


async def read_body(request: Request, form: type[Any]) -> Any:
    """The body as a *form*. Refused if it is too long, no JSON, or not of that form."""
    data = b""
    async for piece in request.stream():
        data += piece
        if len(data) > BODY_MOST:
            raise Refused(413, f"the body is longer than {BODY_MOST} bytes")
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, f"the body is no JSON: {error}") from None
    return read_as(form, value, strict=True)


def read_address(text: str) -> Address:
    """The address that *text* spells."""
    try:
        return Address.parse(text)
    except ValueError:
        raise Refused(400, f"{text!r} is no address; write one such as 192.0.2.1 or 2001:db8::1") from None


def read_network(text: str) -> Network:
    """The network that *text* spells."""
    try:
        return Network.parse(text)
    except ValueError:
        raise Refused(400, f"{text!r} is no network; write one such as 192.0.2.0/24 or 2001:db8::/64") from None
