"""The address words of xinetd.conf(5), only_from: numeric, factorised, with prefix, host and domain names.

Names are kept as names; whether one is in networks(5) is for the configuration to ask. Short and octal numbers are
read as inet_aton(3) reads them, since old files were.
"""

from __future__ import annotations

from collections.abc import Iterator

from sentinetd.model.address import Address, AddressSet, Network
from sentinetd.model.attribute import BadValue, Remark, UnreadWord, Words

_FULL = (1 << 32) - 1
SHORTEST = {4: 8, 6: 32}
"""Bits of the widest networks that are all an operator's own, by IP version."""
NOT_TO_BE_HAD = tuple(
    map(
        Network.parse,
        ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/128", "::1", "fe80::/10", "ff00::/8"),
    )
)
"""Loopback, link-local, multicast and reserved networks."""
_FORMS = "write an address, ADDRESS/BITS, a.b.c.{d,e}, a host name, .domain, or a name from /etc/networks"


def address_list(words: Words) -> AddressSet:
    """The set that *words* mean. BadValue for a word that is none of the forms: a list must never shrink unseen."""
    networks: list[Network] = []
    names: list[str] = []
    for word in words:
        found = _networks(word)
        if found is None:
            names.append(word.lower())
        else:
            networks.extend(found)
    return AddressSet(tuple(networks), tuple(names))


def address_remarks(words: Words) -> Iterator[Remark]:
    """What a reader of the list may not expect: host bits, short and octal numbers, ``::``."""
    for word in words:
        if "{" in word:
            continue
        spelled, slash, bits = word.partition("/")
        if slash and (remark := _host_bits(word, spelled, bits)):
            yield remark
        if word == "::":
            yield Remark(":: means the single address ::, not every address", "write ::/0 for all of IPv6")
        if ":" in spelled or (spelled.count(".") == 3 and not _octal(spelled)):
            continue
        number = inet_aton(spelled)
        if number is not None:
            meant = Network(4, number, 32)
            yield Remark(
                f"{spelled} is read as {meant}, as inet_aton(3) does", f"write {meant}{slash}{bits} if it is meant"
            )


def network_list(words: Words) -> AddressSet:
    """Addresses and networks of which this host is to take what is sent there: each exactly as long as it is written,
    and none that cannot be given to a host (RFC 6890) or is as good as everybody's."""
    return AddressSet(tuple(_claimed(word) for word in words))


def _claimed(word: str) -> Network:
    way_out = "write addresses, or networks as 192.0.2.0/24 or 2001:db8::/64"
    try:
        net, address = Network.parse(word), Address.parse(word.partition("/")[0])
    except ValueError:
        raise BadValue(f"bad address: {word}", way_out) from None
    if address.value != net.value:
        raise BadValue(f"{word} has host bits set", f"did you mean {net}?")
    if net.length < SHORTEST[net.version]:
        raise BadValue(f"{word} is too wide", f"write networks of at least {SHORTEST[net.version]} bits")
    if net.scope or any(one.holds(address) for one in NOT_TO_BE_HAD if one.version == net.version):
        raise BadValue(f"{word} is no network that a host can have", "write addresses that are routed to this host")
    return net


def inet_aton(text: str) -> int | None:
    """The 32-bit number that inet_aton(3) reads: one to four parts, the last fills what is left; 0x hex, 0 octal."""
    parts = text.split(".")
    if not 1 <= len(parts) <= 4:
        return None
    total = 0
    for index, part in enumerate(parts):
        number = _part(part)
        if number is None:
            return None
        if index == len(parts) - 1:
            room = 8 * (5 - len(parts))
            return None if number >> room else total | number
        if number > 255:
            return None
        total |= number << (24 - 8 * index)
    return None


def is_host(word: str) -> bool:
    """Whether *word* could be one host: an address or a host name."""
    if ":" in word:
        try:
            return Address.parse(word).version == 6 or "." in word
        except ValueError:
            return False
    return inet_aton(word) is not None or (_is_name(word) and not word.startswith("."))


def classful(number: int) -> Network:
    """The network that networks(5) means by *number*: as long as its class (RFC 791 section 2.3) or the bytes given.

    The number may stand unshifted (10), or shifted to the left (10.0.0.0); both mean 10.0.0.0/8.
    """
    while number and not number >> 24:
        number <<= 8
    first = number >> 24
    by_class = 8 if first < 128 else 16 if first < 192 else 24
    return Network(4, number, max(by_class, _trailing_zeros_rule(number)))


def _networks(word: str) -> list[Network] | None:
    """The networks of a numeric *word*; None for a name."""
    if "{" in word or "}" in word:
        return _factorised(word)
    if "," in word:
        raise BadValue(f"Address: {word} has a comma in it - remove the comma", "separate addresses by spaces")
    if "/" in word:
        return [_with_bits(word)]
    if ":" in word:
        try:
            return [Network.parse(word)]
        except ValueError:
            raise UnreadWord(f"failed to parse {word}: not an IPv6 address", _FORMS) from None
    number = inet_aton(word)
    if number is not None:
        return [Network(4, number, _trailing_zeros_rule(number))]
    if not _is_name(word):
        raise UnreadWord(f"failed to parse {word}: neither an address nor a name", _FORMS)
    return None


def _with_bits(word: str) -> Network:
    spelled, _, bits = word.partition("/")
    number = inet_aton(spelled)
    host = None if number is None else Network(4, number, 32)
    if host and inet_aton(bits) == _FULL:
        return host
    if "." in bits and inet_aton(bits) is not None:
        raise UnreadWord(
            f"failed to parse {word}: the netmask {bits} is not a number of bits", _netmask_way_out(spelled, bits), host
        )
    if ":" in spelled:
        try:
            return Network.parse(word)
        except ValueError as wrong:
            raise UnreadWord(
                f"failed to parse {word}: {wrong}", "write an IPv6 address and 0 to 128 bits, as 2001:db8::/32"
            ) from None
    if number is None or host is None:
        raise UnreadWord(
            f"failed to parse {word}: {spelled} is not an address", "only numeric addresses take a prefix length"
        )
    if not (bits.isascii() and bits.isdigit()) or len(bits) > 4 or int(bits) > 32:
        raise UnreadWord(
            f"failed to parse {word}: {bits or 'nothing'} is not a number of bits",
            "write 0 to 32 after the slash",
            host if bits.isdigit() else None,
        )
    return Network.of(Address(4, number, ""), int(bits))


def _netmask_way_out(spelled: str, mask: str) -> str:
    number = inet_aton(mask) or 0
    inverse = ~number & _FULL
    if inverse & (inverse + 1):
        return "write a prefix length of 0 to 32"
    return f"write {spelled}/{32 - inverse.bit_length()}"


def _factorised(word: str) -> list[Network]:
    """``a.b.{c,d}``: one network per item, as long as the parts given (xinetd.conf(5), only_from b)."""
    head, opened, rest = word.partition("{")
    items, closed, tail = rest.partition("}")
    way_out = "write the braces last, as 192.168.1.{5,6}"
    if not opened or not closed or tail or "{" in items:
        raise BadValue(f"Bad address: {word}", way_out)
    if ".." in head or head.startswith("."):
        raise BadValue(f"Bad address: {word}. Consecutive dots", way_out)
    if ",," in items:
        raise BadValue(f"Bad address: {word}. Consecutive commas", way_out)
    fixed = head.split(".")[:-1]
    if (head and not head.endswith(".")) or len(fixed) > 3:
        raise BadValue(f"Bad address: {word}", way_out)
    length = 8 * (len(fixed) + 1)
    networks = []
    for item in items.split(","):
        parts = [*fixed, item]
        if not all(part.isascii() and part.isdigit() and len(part) < 5 and int(part) <= 255 for part in parts):
            raise BadValue(f"Bad address: {word}: every part must be a number of 0 to 255", way_out)
        number = 0
        for part in parts:
            number = number << 8 | int(part)
        networks.append(Network(4, number << (32 - length), length))
    return networks


def _trailing_zeros_rule(number: int) -> int:
    """Prefix length of an address whose rightmost zero bytes are wildcards; 0.0.0.0 means every IPv4 address."""
    length = 32
    while length and not number & 0xFF:
        number >>= 8
        length -= 8
    return length


def _host_bits(word: str, spelled: str, bits: str) -> Remark | None:
    try:
        cut = _with_bits(word)
        number = inet_aton(spelled) if ":" not in spelled else Address.parse(spelled).value
    except ValueError:
        return None  # told where the word is read
    if number is None or number == cut.value:
        return None
    suffix = "" if str(cut).endswith(f"/{cut.length}") else f"/{bits}"
    return Remark(f"{word} has host bits set", f"did you mean {cut}{suffix}?")


def _octal(spelled: str) -> bool:
    """Whether a part of a dotted address begins with 0, so that inet_aton(3) reads it as octal or hexadecimal."""
    return any(len(part) > 1 and part[0] == "0" for part in spelled.split("."))


def _part(text: str) -> int | None:
    if not text.isascii() or len(text) > 12:
        return None
    try:
        if text[:2] in ("0x", "0X"):
            return int(text[2:], 16) if text[2:].isalnum() else None
        if not text.isdigit():
            return None
        return int(text, 8) if len(text) > 1 and text[0] == "0" else int(text)
    except ValueError:
        return None


def _is_name(word: str) -> bool:
    """Whether *word* could be a host name, a ``.domain`` or a name of networks(5)."""
    body = word[1:] if word.startswith(".") else word
    labels = body.rstrip(".").split(".")
    if not body or len(body) > 253 or not all(labels):
        return False
    if not all(one.isalnum() or one in "-_." for one in body):
        return False
    numeric = sum(label.isdigit() for label in labels)
    return numeric < len(labels) and not (len(labels) == 4 and numeric == 3)  # 192.168.1.x is a slip, not a name
