"""Addresses, networks and sets of them. Text is parsed here once; further in, only these types are seen.

One source has one spelling: an IPv4-mapped IPv6 address (``::ffff:192.0.2.1``) is the IPv4 address.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import cached_property
from typing import Self

from sentinetd.model.noun import dataclass, field

BITS = {4: 32, 6: 128}
"""Length of an address in bits, by IP version."""

_OCTETS = {str(number): number for number in range(256)}
OCTETS = tuple(_OCTETS)
"""The text of each part of an IPv4 address."""
_FULL = {4: (1 << 32) - 1, 6: (1 << 128) - 1}


@dataclass(frozen=True, slots=True)
class Address:
    """One host: IP version (4 or 6), the address as a number, its canonical text.

    *scope* is the interface of a link-local IPv6 address and empty otherwise: the same link-local address
    on two interfaces is two hosts (RFC 4007 section 6). Equal addresses have equal texts.
    """

    version: int
    value: int
    text: str = field(compare=False)
    scope: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """The address that *text* spells; a mapped one becomes IPv4. ValueError if it spells none."""
        if (value := _ipv4(text)) is not None:
            return cls(4, value, text)
        parsed = ipaddress.ip_address(text)
        if parsed.version == 6 and int(parsed) >> 32 == 0xFFFF:
            parsed = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        scope = getattr(parsed, "scope_id", None) or ""
        return cls(parsed.version, int(parsed), str(parsed), scope)

    @classmethod
    def of(cls, version: int, value: int, scope: str = "") -> Self:
        """The address with the number *value*."""
        if version == 4:
            return cls(4, value, _dotted(value))
        text = str(ipaddress.IPv6Address(value))
        return cls(6, value, f"{text}%{scope}" if scope else text, scope)

    def __hash__(self) -> int:
        """The hash of the text, which the interpreter keys and remembers. Numbers are hashed without a key, so that the
        owner of an IPv6 /48 could choose half a million addresses that collide in every table."""
        return hash(self.text)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Network:
    """All addresses that share the first *length* bits of *value*; bits beyond *length* are zero.

    *scope* is as in `Address`: a network with a scope holds only addresses of that interface.
    """

    version: int
    value: int
    length: int
    scope: str = ""

    @classmethod
    def of(cls, address: Address, length: int) -> Self:
        """The network of *length* bits around *address*. A link-local one stays tied to its interface."""
        version, value = address.version, address.value
        if length < BITS[version]:
            value &= ~(_FULL[version] >> length)
        return cls(version, value, length, address.scope)

    @classmethod
    def parse(cls, text: str) -> Self:
        """``address`` or ``address/bits``; host bits are cut off. ValueError if it is neither."""
        if (value := _ipv4(text)) is not None:
            return cls(4, value, 32)
        spelled, _, bits = text.partition("/")
        address = Address.parse(spelled)
        full = BITS[address.version]
        if not bits:
            return cls.of(address, full)
        if not (bits.isascii() and bits.isdigit()):
            raise ValueError(f"{text}: the part after the slash must be a number of bits")
        length = int(bits)
        if ":" in spelled and address.version == 4:
            length -= 96  # the prefix of a mapped address counts the 96 bits that mapping put before it
        if not 0 <= length <= full:
            raise ValueError(f"{text}: an IPv{address.version} prefix has 0 to {full} bits")
        return cls.of(address, length)

    def holds(self, address: Address) -> bool:
        """Whether *address* lies in this network."""
        shift = BITS[self.version] - self.length
        return (
            address.version == self.version
            and address.value >> shift == self.value >> shift
            and (not self.scope or self.scope == address.scope)
        )

    def contains(self, other: Network) -> bool:
        """Whether every address of *other* lies in this network."""
        shift = BITS[self.version] - self.length
        return (
            other.version == self.version
            and other.length >= self.length
            and other.value >> shift == self.value >> shift
            and (not self.scope or self.scope == other.scope)
        )

    def __str__(self) -> str:
        number = _dotted(self.value) if self.version == 4 else ipaddress.IPv6Address(self.value)
        scope = f"%{self.scope}" if self.scope else ""
        bits = "" if self.length == BITS[self.version] else f"/{self.length}"
        return f"{number}{scope}{bits}"


def _ipv4(text: str) -> int | None:
    """The number of an IPv4 address in its canonical spelling; None for any other text.

    This is most of what processes tell each other, and an eighth of the time that `ipaddress` takes.
    """
    words = text.split(".", 4)
    if len(words) != 4:
        return None
    try:
        return _OCTETS[words[0]] << 24 | _OCTETS[words[1]] << 16 | _OCTETS[words[2]] << 8 | _OCTETS[words[3]]
    except KeyError:
        return None


def _dotted(value: int) -> str:
    return f"{OCTETS[value >> 24]}.{OCTETS[value >> 16 & 255]}.{OCTETS[value >> 8 & 255]}.{OCTETS[value & 255]}"


@dataclass(frozen=True)
class AddressSet:
    """Who is meant by a list of the configuration: networks, host names and domains.

    *names* are as written, in lower case; one that begins with a dot is a domain and means every host below it.
    A look-up costs one dictionary probe per prefix length in use, however long the list is.
    """

    networks: tuple[Network, ...] = ()
    names: tuple[str, ...] = ()

    @cached_property
    def _by_length(self) -> tuple[tuple[int, int, int, frozenset[tuple[int, str]]], ...]:
        """(version, length, shift, {(value >> shift, scope)}), longest prefix first."""
        table: dict[tuple[int, int], set[tuple[int, str]]] = {}
        for net in self.networks:
            shift = BITS[net.version] - net.length
            table.setdefault((net.version, net.length), set()).add((net.value >> shift, net.scope))
        return tuple(
            (version, length, BITS[version] - length, frozenset(values))
            for (version, length), values in sorted(table.items(), key=lambda row: -row[0][1])
        )

    def longest_match(self, source: Address) -> int | None:
        """Prefix length of the narrowest network that holds *source*; None if none does."""
        for version, length, shift, values in self._by_length:
            if version == source.version:
                prefix = source.value >> shift
                if (prefix, "") in values or (source.scope and (prefix, source.scope) in values):
                    return length
        return None

    def covering(self, network: Network) -> int | None:
        """Prefix length of the narrowest network here that holds all of *network*; None if none does."""
        for version, length, shift, values in self._by_length:
            if version == network.version and length <= network.length:
                prefix = network.value >> shift
                if (prefix, "") in values or (network.scope and (prefix, network.scope) in values):
                    return length
        return None

    def name_match(self, source: Address, name: str) -> int | None:
        """How narrowly the host name *name* of *source* is meant, on the scale of `longest_match`; None if it is not.

        A host name is as narrow as a single address, a domain just less so.
        """
        lowered = name.lower().rstrip(".")
        if lowered in self.names:
            return BITS[source.version]
        if any(entry.startswith(".") and lowered.endswith(entry) for entry in self.names):
            return BITS[source.version] - 1
        return None

    def __contains__(self, source: Address) -> bool:
        return self.longest_match(source) is not None

    def __bool__(self) -> bool:
        return bool(self.networks or self.names)


EVERYONE = AddressSet((Network(4, 0, 0), Network(6, 0, 0)))
"""The list that admits any source: what `only_from` means where it is not given."""

NOBODY = AddressSet()


def union(sets: Iterable[AddressSet]) -> AddressSet:
    """One set that holds whatever one of *sets* holds."""
    known = tuple(sets)
    return AddressSet(
        tuple(net for one in known for net in one.networks), tuple(name for one in known for name in one.names)
    )
