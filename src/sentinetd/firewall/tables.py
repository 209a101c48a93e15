"""Messages that make and remove what an nftables table holds: chains, rules, sets, elements.

Everything is of the inet family, which sees IPv4 and IPv6. Numbers are those of linux/netfilter/nf_tables.h; the types
of keys are those of the nft program, so that it lists our sets as one would write them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum

from sentinetd.firewall.framing import attribute, attributes, nested, number, text
from sentinetd.firewall.netfilter import APPEND, CREATE, Answer, Message
from sentinetd.model.noun import dataclass

NEW_TABLE, GET_TABLE, DELETE_TABLE = 0, 1, 2  # NFT_MSG_*
NEW_CHAIN, GET_CHAIN, DELETE_CHAIN = 3, 4, 5
NEW_RULE, GET_RULE, DELETE_RULE = 6, 7, 8
NEW_SET, GET_SET, DELETE_SET = 9, 10, 11
NEW_ELEMENTS, GET_ELEMENTS, DELETE_ELEMENTS = 12, 13, 14

OWNER, PERSIST = 0x2, 0x4  # NFT_TABLE_F_*: nobody else changes it (Linux 5.12); it outlives its owner (6.9)
WITH_TIMEOUTS = 0x10  # NFT_SET_TIMEOUT
PREROUTING = 0  # NF_INET_PRE_ROUTING
ACCEPTED = 1  # NF_ACCEPT, as a chain's policy

LONGEST_NAME = 127  # NFT_NAME_MAXLEN without its end, halved: nft itself takes no longer table names
ELEMENTS_AT_ONCE = 1000
"""Elements in one message: an attribute has at most 65,535 bytes, and an IPv6 element with its times takes 56."""


class KeyType(IntEnum):
    """What a set's key is, by the numbers of the nft program."""

    IPV4 = 7
    IPV6 = 8
    PROTOCOL = 12
    PORT = 13


KEY_BYTES = {KeyType.IPV4: 4, KeyType.IPV6: 16, KeyType.PROTOCOL: 4, KeyType.PORT: 4}
"""By type, in a key: what is shorter than a word takes a word of four bytes where there are several parts."""


@dataclass(frozen=True, slots=True)
class Key:
    """The parts of which the keys of a set are made."""

    parts: tuple[KeyType, ...]

    @property
    def length(self) -> int:
        """Bytes."""
        return sum(KEY_BYTES[part] for part in self.parts)

    @property
    def code(self) -> int:
        """The number by which nft knows the type: six bits a part."""
        code = 0
        for part in self.parts:
            code = code << 6 | part
        return code


def table(name: str, flags: int) -> Message:
    """Make the table, or claim it where it is there and belongs to nobody."""
    return Message(NEW_TABLE, text(1, name) + number(2, flags), CREATE)


def no_table(name: str) -> Message:
    """Remove the table and all that is in it."""
    return Message(DELETE_TABLE, text(1, name))


def chain(of: str, name: str) -> Message:
    """Make a chain to which rules jump."""
    return Message(NEW_CHAIN, text(1, of) + text(3, name), CREATE)


def hooked_chain(of: str, name: str, hook: int, priority: int, kind: str = "filter") -> Message:
    """Make a chain that packets meet at *hook*, the lower *priority* the earlier; what it says nothing of passes."""
    where = nested(4, number(1, hook), number(2, priority & 0xFFFFFFFF))
    return Message(NEW_CHAIN, text(1, of) + text(3, name) + where + number(5, ACCEPTED) + text(7, kind), CREATE)


def rule(of: str, name: str, *expressions: bytes) -> Message:
    """Append a rule to the chain *name*."""
    return Message(NEW_RULE, text(1, of) + text(2, name) + nested(4, *expressions), CREATE | APPEND)


def no_rules(of: str, name: str) -> Message:
    """Remove every rule of the chain *name*."""
    return Message(DELETE_RULE, text(1, of) + text(2, name))


def hash_set(of: str, name: str, key: Key, size: int, *, timeouts: bool = False) -> Message:
    """Make a set of single keys, up to *size*; *timeouts*: elements may have an end."""
    flags = WITH_TIMEOUTS if timeouts else 0
    identifier = number(10, 1)  # asked for, but only used by those who do not go by the name
    shape = number(3, flags) + number(4, key.code) + number(5, key.length) + nested(9, number(1, size))
    return Message(NEW_SET, text(1, of) + text(2, name) + shape + identifier, CREATE)


def no_set(of: str, name: str) -> Message:
    """Remove a set that no rule looks into."""
    return Message(DELETE_SET, text(1, of) + text(2, name))


def element(key: bytes) -> bytes:
    """An element for `elements` that stays."""
    return nested(1, nested(1, attribute(1, key)))


def elements(of: str, name: str, given: Iterable[bytes]) -> list[Message]:
    """Put elements (`element`) into a set, as many messages as it takes. One that is there already is no mistake."""
    return [Message(NEW_ELEMENTS, body, CREATE) for body in _bodies(of, name, given)]


def no_elements(of: str, name: str, given: Iterable[bytes]) -> list[Message]:
    """Take elements out of a set; each must be there."""
    return [Message(DELETE_ELEMENTS, body) for body in _bodies(of, name, given)]


def empty(of: str, name: str) -> Message:
    """Take every element out of a set."""
    return Message(DELETE_ELEMENTS, text(1, of) + text(2, name))


def _bodies(of: str, name: str, given: Iterable[bytes]) -> Iterable[bytes]:
    head = text(1, of) + text(2, name)
    rows: Sequence[bytes] = given if isinstance(given, list) else list(given)
    for begin in range(0, len(rows), ELEMENTS_AT_ONCE):
        yield head + nested(3, *rows[begin : begin + ELEMENTS_AT_ONCE])


def named_table(name: str) -> bytes:
    """What a question about the table consists of."""
    return text(1, name)


def named_set(of: str, name: str) -> bytes:
    """What a question about the elements of a set consists of."""
    return text(1, of) + text(2, name)


def keys_in(answer: Answer) -> list[bytes]:
    """The keys in an answer about the elements of a set."""
    rows = dict(attributes(answer.body)).get(3, b"")
    return [dict(attributes(dict(attributes(row))[1]))[1] for _, row in attributes(rows)]


def expressions_in(message: Message) -> list[str]:
    """The names of the expressions in a message that makes a rule; none for any other."""
    if message.kind != NEW_RULE:
        return []
    rows = dict(attributes(message.body)).get(4, b"")
    names = (dict(attributes(row)).get(1, b"").rstrip(b"\0").decode() for _, row in attributes(rows))
    return list(dict.fromkeys(names))
