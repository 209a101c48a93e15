"""Each format of a list that is read: a function from its bytes to entries and faults, in their order.

Nothing is held of what was read but the line or value at hand. Whether an entry is to be believed is not asked here.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any

from sentinetd.lists.entry import Entry, Fault, Item, NoEntry, duration, networks, shown, until
from sentinetd.lists.text import Chunks, Shape, lines, values, words

Reader = Callable[[Chunks, float], Iterator[Item]]
"""From the bytes of a list, and the Unix time it is read at."""


def _entries(line: int, word: str, span: float | None, note: str) -> Iterator[Item]:
    try:
        yield from (Entry(line, network, span, note) for network in networks(word))
    except NoEntry as error:
        yield Fault(line, str(error))


# Plain: one network a line, and whatever comes after it is a comment (EDL, netset, DROP ...).

_COMMENT = re.compile(r"\s*[#;]\s*|\s+")


def plain(chunks: Chunks, now: float) -> Iterator[Item]:
    """``network [comment]``, ``network # comment``, ``network ; comment``; lines that begin with ``#`` or ``;``."""
    for row in lines(chunks):
        if isinstance(row, Fault):
            yield row
            continue
        number, line = row
        if line[0] in "#;":
            continue
        word, *rest = _COMMENT.split(line, maxsplit=1)
        yield from _entries(number, word, None, rest[0] if rest else "")


# CSV: columns by their names; without any, network, seconds and note. CrowdSec's `-o raw` is one of these.

_NETWORK = ("network", "ip", "address", "value", "range", "cidr", "source")
_SPAN = ("span", "seconds", "duration", "expiration", "timeout")
_UNTIL = ("until", "expires", "expires_at", "end")
_NOTE = ("note", "reason", "comment", "scenario", "jail")
_ACTION = ("action", "type")


def csv_rows(chunks: Chunks, now: float) -> Iterator[Item]:
    """Comma-separated values (RFC 4180), the first row maybe of names. An empty cell of a column *until* is for ever,
    as in our own lists; in all others it says nothing."""
    faults: list[Fault] = []
    reader = csv.reader(_numbered(chunks, faults, at := _At()))
    columns: Mapping[str, int] | None = None
    while True:
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            faults.append(Fault(at.line, str(error)))
            continue
        finally:
            yield from faults
            faults.clear()
        if not row or row[0].startswith("#"):
            continue
        if columns is None:
            names = {name.strip().lower(): place for place, name in reversed(list(enumerate(row)))}
            columns = names if names.keys() & set(_NETWORK) else {"network": 0, "span": 1, "note": 2}
            if columns is names:
                continue
        yield from _csv_row(at.line, row, columns, now)


class _At:
    """Where a reader is."""

    line = 0


def _numbered(chunks: Chunks, faults: list[Fault], at: _At) -> Iterator[str]:
    for row in lines(chunks):
        if isinstance(row, Fault):
            faults.append(row)
        else:
            at.line = row[0]
            yield row[1] + "\n"


def _csv_row(line: int, row: Sequence[str], columns: Mapping[str, int], now: float) -> Iterator[Item]:
    def cell(names: Iterable[str]) -> str:
        places = [columns[name] for name in names if name in columns]
        return next((row[place].strip() for place in places if place < len(row) and row[place].strip()), "")

    if cell(_ACTION).lower() not in ("", "ban") or cell(("simulated",)).lower() == "true":
        yield Fault(line, "it is no ban")
        return
    kind, colon, value = cell(_NETWORK).partition(":")  # CrowdSec: Ip:192.0.2.1
    word = value if colon and kind.lower() in ("ip", "range") else cell(_NETWORK)
    try:
        said, date = cell(_SPAN), cell(_UNTIL)
        span = duration(said) if said else until(date, now) if date or "until" in columns else None
    except NoEntry as error:
        yield Fault(line, str(error))
        return
    yield from _entries(line, word, span, cell(_NOTE))


# JSON: networks, or objects that name one; lists of them, one after the other, or inside others.


def json_values(chunks: Chunks, now: float) -> Iterator[Item]:
    """A list of texts or objects, or one on each line; decisions of CrowdSec (``cscli decisions list -o json``); sets
    of nftables (``nft -j list ruleset``)."""
    for row in values(chunks):
        if isinstance(row, Fault):
            yield row
        else:
            yield from _json_value(row[0], row[1], now, "")


def _json_value(line: int, value: Any, now: float, note: str) -> Iterator[Item]:
    if isinstance(value, str):
        yield from _entries(line, value, None, note)
    elif isinstance(value, list):
        for one in value:
            yield from _json_value(line, one, now, note)
    elif isinstance(value, dict):
        yield from _json_object(line, value, now, note)
    elif value is not None:  # what cscli prints when there are no decisions
        yield Fault(line, f"{shown(str(value))} is no address and no network")


def _json_object(line: int, value: Mapping[str, Any], now: float, note: str) -> Iterator[Item]:
    note = str(next((value[name] for name in _NOTE if isinstance(value.get(name), str)), note))
    word = next((value[name] for name in _NETWORK if isinstance(value.get(name), str)), None)
    within = next((value[name] for name in ("decisions", "bans", "nftables", "set", "elem") if name in value), None)
    if isinstance(within, dict) and "val" in within:
        yield from _nft_element(line, within["val"], within, now, note)
    elif "prefix" in value or isinstance(value.get("range"), list):
        yield from _nft_element(line, value, {}, now, note)
    elif within is not None:
        yield from _json_value(line, within, now, note)
    elif word is not None:
        if str(value.get("type", "ban")).lower() != "ban" or value.get("simulated") is True:
            yield Fault(line, "it is no ban")
        elif str(value.get("scope", "ip")).lower() not in ("ip", "range", ""):
            yield Fault(line, f"it is of a {shown(str(value['scope']))}, not of a network")
        else:
            yield from _timed(line, word, value, now, note)
    elif not value.keys() & {"metainfo", "table", "chain", "rule"}:
        yield Fault(line, "an object without a network")


def _nft_element(line: int, what: Any, element: Mapping[str, Any], now: float, note: str) -> Iterator[Item]:
    """An element of a set as ``nft -j`` writes it."""
    word = what if isinstance(what, str) else ""
    if isinstance(what, dict) and isinstance(what.get("prefix"), dict):
        word = f"{what['prefix'].get('addr')}/{what['prefix'].get('len')}"
    elif isinstance(what, dict) and isinstance(what.get("range"), list) and len(what["range"]) == 2:
        word = f"{what['range'][0]}-{what['range'][1]}"
    left = element.get("expires", element.get("timeout"))
    yield from _timed(line, word, {"span": left}, now, str(element.get("comment", note)))


def _timed(line: int, word: str, value: Mapping[str, Any], now: float, note: str) -> Iterator[Item]:
    said = next((value[name] for name in _SPAN if value.get(name) is not None), None)
    date = next((value[name] for name in _UNTIL if name in value), ...)
    try:
        span = duration(str(said)) if said is not None else None if date is ... else until(str(date or ""), now)
    except NoEntry as error:
        yield Fault(line, str(error))
        return
    yield from _entries(line, word, span, note)


# nftables: `nft list set`, `nft list ruleset`, and scripts with `add element`.

_NFT = Shape(
    re.compile(r'#[^\n]*|"[^"\n]*"|[{},;=]|[^\s{},;="#]+'), re.compile(r'"[^"\n]*"|(["#])'), delimiters=" \t,{};="
)


def nft(chunks: Chunks, now: float) -> Iterator[Item]:
    """``elements = { network timeout 1h expires 30m, ... }``, wherever in the text."""
    before = ["", ""]  # the two words before this one
    inside = False
    element: list[tuple[int, str]] = []
    adding = False  # since `add element` began, up to its brace
    for row in words(chunks, _NFT):
        if isinstance(row, Fault):
            yield row
            continue
        number, word = row
        if word.startswith("#"):
            continue
        if inside and word in (",", "}"):
            yield from _nft_words(element)
            element = []
            inside = word == ","
        elif inside:
            element.append((number, word))
        elif word == "{":
            inside, adding = adding or before == ["elements", "="], False
        elif word == "element" and before[1] in ("add", "create"):
            adding = True
        elif word == ";":
            adding = False
        before = [before[1], word]


def _nft_words(element: Sequence[tuple[int, str]]) -> Iterator[Item]:
    """One element: its key, then options in pairs."""
    if not element:
        return
    line, key = element[0]
    options = dict(zip([word for _, word in element[1::2]], [word for _, word in element[2::2]], strict=False))
    said = options.get("expires", options.get("timeout"))
    try:
        span = None if said is None else duration(said)
    except NoEntry as error:
        yield Fault(line, str(error))
        return
    yield from _entries(line, key, span, options.get("comment", "").strip('"'))


# ipset: `ipset save` and `ipset list`.

_IPSET = re.compile(r'"[^"]*"|\S+')


def ipset(chunks: Chunks, now: float) -> Iterator[Item]:
    """``add SET network [timeout SECONDS] [comment "..."]``, and what follows ``Members:``. Timeout 0 is for ever."""
    members = False
    for row in lines(chunks):
        if isinstance(row, Fault):
            yield row
            continue
        number, line = row
        said = _IPSET.findall(line)
        if said[0] in ("add", "-A"):
            said = said[2:]
        elif line == "Members:" or line.startswith("Name:"):
            members = line == "Members:"
            continue
        elif not members:
            continue  # create, COMMIT, a header
        yield from _ipset_words(number, said)


def _ipset_words(line: int, said: Sequence[str]) -> Iterator[Item]:
    if not said or "nomatch" in said or "," in said[0]:
        what = "an exception (nomatch)" if "nomatch" in said else "no network by itself"
        yield Fault(line, f"{shown(said[0] if said else '')} is {what}")
        return
    options = dict(zip(said[1::2], said[2::2], strict=False))
    try:
        span = None if (time := options.get("timeout")) is None else duration("-1" if time == "0" else time)
    except NoEntry as error:
        yield Fault(line, str(error))
        return
    yield from _entries(line, said[0], span, options.get("comment", "").strip('"'))


# fail2ban: what its client prints, and rows of its database.

_BANNED = Shape(
    re.compile(r"""'[^'\n]*'|"[^"\n]*"|[:\[\]{},]"""), re.compile(r"""'[^'\n]*'|"[^"\n]*"|(['"])"""), ",:[]{} "
)
_WITH_TIME = re.compile(r"(\S+)\s+(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) \+ (-?\d+) = ")


def fail2ban(chunks: Chunks, now: float) -> Iterator[Item]:
    """``fail2ban-client banned``, ``status JAIL``, ``get JAIL banip [--with-time]``, and rows of ``bips`` or ``bans``
    as sqlite3(1) prints them (``jail|ip|timeofban|bantime``)."""
    beginning, chunks = _peeked(chunks)
    listed = beginning.lstrip()[:1] in (b"[", b"{")
    yield from _fail2ban_banned(chunks) if listed else _fail2ban_lines(chunks, now)


def _fail2ban_banned(chunks: Chunks) -> Iterator[Item]:
    """``[{'sshd': ['192.0.2.1', ...]}, ...]``: a text before a colon is a jail."""
    jail = ""
    held: tuple[int, str] | None = None  # the text before this word
    for row in words(chunks, _BANNED):
        if isinstance(row, Fault):
            yield row
            continue
        number, word = row
        if held is not None and word == ":":
            jail = held[1]
        elif held is not None:
            yield from _entries(held[0], held[1], None, jail)
        held = (number, word[1:-1]) if len(word) > 1 else None


def _fail2ban_lines(chunks: Chunks, now: float) -> Iterator[Item]:
    for row in lines(chunks):
        if isinstance(row, Fault):
            yield row
            continue
        number, line = row
        if "Banned IP list:" in line:
            for word in line.partition("Banned IP list:")[2].split():
                yield from _entries(number, word, None, "")
        elif line.count("|") >= 2 and not line.startswith("|"):
            yield from _fail2ban_row(number, line.split("|"), now)
        elif match := _WITH_TIME.match(line):
            yield from _fail2ban_since(number, match[1], until(match[2], now), match[3], "")
        elif line[0] not in "|`" and not line.startswith("Status"):
            for word in line.split():
                yield from _entries(number, word, None, "")


def _fail2ban_row(line: int, cells: Sequence[str], now: float) -> Iterator[Item]:
    """``jail|ip|timeofban|bantime`` or, as in the table bips, ``ip|jail|timeofban|bantime``."""
    first, second, begun, *rest = (cell.strip() for cell in cells)
    ip, jail = (first, second) if re.fullmatch(r"[0-9a-fA-F.:/]*[.:][0-9a-fA-F.:/]*", first) else (second, first)
    if first.lower() in ("jail", "ip"):
        return  # the names of the columns
    try:
        yield from _fail2ban_since(line, ip, until(begun, now), rest[0] if rest else "-1", jail)
    except NoEntry as error:
        yield Fault(line, str(error))


def _fail2ban_since(line: int, ip: str, begun: float, time: str, jail: str) -> Iterator[Item]:
    try:
        yield from _entries(line, ip, begun + duration(time), jail)
    except NoEntry as error:
        yield Fault(line, str(error))


def crowdsec(chunks: Chunks, now: float) -> Iterator[Item]:
    """``cscli decisions list -o json`` or ``-o raw``."""
    beginning, chunks = _peeked(chunks)
    return (json_values if beginning.lstrip()[:1] in (b"[", b"{", b"n") else csv_rows)(chunks, now)


READERS: dict[str, Reader] = {
    "plain": plain,
    "csv": csv_rows,
    "json": json_values,
    "nft": nft,
    "ipset": ipset,
    "fail2ban": fail2ban,
    "crowdsec": crowdsec,
}
"""By the names that operators write."""


def guessed(beginning: bytes) -> str:
    """The name of the format that a list begins with so: what is not recognised is plain."""
    text = beginning.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    line = next((one for one in text.splitlines() if one.strip() and one[0] not in "#;"), "")
    for name, pattern in _SIGNS.items():
        if re.match(pattern, text if name in ("nft", "fail2ban") else line):
            return name
    return "plain"


_SIGNS = {
    "fail2ban": r"\[?\{'|Status for the jail|\S+\|\S+\|\d+",
    "json": r'[\[{]\s*($|["{\[])',
    "nft": r"(#[^\n]*\n|\s)*(table|add (table|set|element)|elements|flush|set) ",
    "ipset": r"(create|add|-N|-A) \S+ \S+|Name: ",
    "csv": rf"([^#,\s]+,)*({'|'.join(_NETWORK)}),|([^#,\s]+,)+({'|'.join(_NETWORK)})\b|[0-9a-fA-F.:/]+,",
}


def _peeked(chunks: Chunks) -> tuple[bytes, Chunks]:
    """The first piece that is not blank, and all of them; of blank ones before it their lines."""
    rest = iter(chunks)
    beginning, blank = b"", 0
    for beginning in rest:
        if beginning.strip():
            break
        blank += beginning.count(b"\n")

    def whole() -> Iterator[bytes]:
        yield from repeat(b"\n", blank)
        yield beginning
        yield from rest

    return beginning, whole()
