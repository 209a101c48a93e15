"""Addresses as a sink is to see them: in full, without the part that names one host, or as pseudonyms.

Every address goes, ours as well, also out of free texts. A pseudonym is an address of ``100::/64``, which no packet
comes from (RFC 6666), so that every format and every consumer can still hold it; of the same address and key it is the
same, and without the key nobody can try all addresses to find which one it was.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

from sentinetd.model.address import BITS, Address, Network
from sentinetd.model.alert import Shown
from sentinetd.model.events import Event
from sentinetd.model.noun import fields, replace

SHORT = {4: 24, 6: 48}
"""Bits that are left of an address."""
DISCARD = 0x0100 << 112
REMEMBERED = 4096
"""Pseudonyms that are not worked out anew."""

Veil = Callable[[Event], Event]

_TOKEN = re.compile(
    r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:\d*(?:\.\d{1,3}){3})?(?![\w:])"
    r"|(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?!\.?\d)"
)
"""What may be an address in a text."""


def veil(shown: Shown, key: bytes) -> Veil:
    """What makes an event fit for a sink that sees addresses as *shown*; *key* makes pseudonyms."""
    if shown is Shown.FULL:
        return lambda event: event
    if shown is Shown.SHORT:
        return lambda event: _veiled(event, _short)

    @lru_cache(REMEMBERED)
    def pseudonym(address: Address) -> Address:
        digest = hmac.digest(key, address.text.encode(), hashlib.sha256)
        return _address(6, DISCARD | int.from_bytes(digest[:8], "big"))

    return lambda event: _veiled(event, pseudonym)


def _short(address: Address) -> Address:
    network = Network.of(address, SHORT[address.version])
    return _address(network.version, network.value)


def _address(version: int, value: int) -> Address:
    return Address.parse(str(Network(version, value, BITS[version])))


def _veiled(event: Event, change: Callable[[Address], Address]) -> Event:
    values: dict[str, Any] = {}
    kind: Any = type(event)
    for name in _names(kind):
        value = getattr(event, name)
        if isinstance(value, Address):
            values[name] = change(value)
        elif isinstance(value, Network):
            values[name] = _network(value, change)
        elif isinstance(value, str) and ("." in value or ":" in value):
            values[name] = _TOKEN.sub(lambda match: _token(match[0], change), value)
    return replace(event, **values) if values else event


def _network(network: Network, change: Callable[[Address], Address]) -> Network:
    changed = change(_address(network.version, network.value))
    if changed.version == network.version and change is _short:
        return Network.of(changed, min(network.length, SHORT[network.version]))
    return Network.of(changed, BITS[changed.version])


def _token(text: str, change: Callable[[Address], Address]) -> str:
    try:
        return change(Address.parse(text)).text
    except ValueError:
        return text


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))
