"""What is fuzzed: each target takes any bytes and fails only where a parser breaks a promise of its own.

A parser may refuse by the error that it names, never by another one; beyond that each target says what else must hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from sentinetd.announce import xdr
from sentinetd.ask.hosts_access import Request, Verdict, judge, parse
from sentinetd.ask.ident import Identity, read_reply
from sentinetd.ask.patterns import PARANOID, UNKNOWN, Fact, HostPattern, Known, Unsure, host_pattern
from sentinetd.ask.proxy import LONGEST as LONGEST_HEADER
from sentinetd.ask.proxy import Header
from sentinetd.ask.proxy import read as read_header
from sentinetd.config import syntax
from sentinetd.daemon import messages
from sentinetd.daemon.channel import decode, encode
from sentinetd.errors import MessageError
from sentinetd.lists.entry import Entry, Fault, Item
from sentinetd.lists.readers import READERS, guessed
from sentinetd.model.address import Address
from sentinetd.model.trip_run import TripTable
from sentinetd.model.values import Decoy
from sentinetd.serve.internal.decoys.dialogue import NOISE, Scene
from sentinetd.serve.internal.decoys.table import DECOYS
from sentinetd.serve.tcpmux import LONGEST_NAME, Line, read_line

CORPUS = Path(__file__).with_name("corpus")
"""A directory for each target."""
WRITTEN = "seed-"
"""How files begin that were written by hand, for promises that coverage alone does not see."""
LARGEST = 64
"""Other files of one target that are kept."""
LONGEST = 1500
"""Bytes of a file."""

FILE = "xinetd.conf"


def config_syntax(data: bytes) -> None:
    """Places go down the file; an entry that stands whole and without complaint is read the same from its words; how
    lines end does not matter."""
    text = syntax.parse(data, FILE)
    if b"\r\r" not in data:
        plain = syntax.parse(data.replace(b"\r\n", b"\n"), FILE)
        assert [_outline(one) for one in plain.statements] == [_outline(one) for one in text.statements]
    lines = data.count(b"\n") + 1
    places = [statement.place.line for statement in text.statements]
    assert places == sorted(places)
    for diagnostic in text.diagnostics:
        assert diagnostic.place.file == FILE
        assert 0 <= diagnostic.place.line <= lines
    for statement in text.statements:
        if not isinstance(statement, syntax.Entry):
            assert statement.path
            continue
        assert all(statement.place.line < line.place.line <= lines for line in statement.lines)
        assert all(line.name == line.name.lower() and line.operator in syntax.OPERATORS for line in statement.lines)
        ends = (statement.name, *(_words(line)[-1] for line in statement.lines))
        if statement.whole and not statement.diagnostics and not any(word.endswith("\r") for word in ends):
            # A carriage return that blanks followed would be lost at the end of a line.
            again = syntax.parse(_entry(statement).encode("utf-8", "surrogateescape"), FILE).statements
            assert len(again) == 1
            assert isinstance(again[0], syntax.Entry)
            assert again[0].name == statement.name
            assert [_words(line) for line in again[0].lines] == [_words(line) for line in statement.lines]


def _outline(statement: syntax.Entry | syntax.Include) -> object:
    if isinstance(statement, syntax.Include):
        return statement
    return statement.name, statement.lines, statement.whole


def _entry(entry: syntax.Entry) -> str:
    head = f"service {entry.name}" if entry.name else "defaults"
    return "\n".join([head, "{", *(" ".join(_words(line)) for line in entry.lines), "}", ""])


def _words(line: syntax.Line) -> tuple[str, ...]:
    return line.name, line.operator, *line.words


REQUEST = Request("in.ftpd", Address.parse("192.0.2.7"), 40000, Address.parse("192.0.2.1"), 21)
REQUEST6 = Request("in.ftpd", Address.parse("2001:db8::7"), 40000, Address.parse("2001:db8::1"), 21)
FACTS: Mapping[Fact, tuple[bytes, ...]] = {
    Fact.CLIENT_NAME: (UNKNOWN, PARANOID, b"host.example.test"),
    Fact.SERVER_NAME: (UNKNOWN, b"server.example.test"),
    Fact.USER: (UNKNOWN, b"root"),
}


def hosts_access(data: bytes) -> None:
    """hosts.allow, a line of ``%%``, hosts.deny. With all facts there is a verdict or a reason why there is none; what
    was decided on fewer facts is decided the same whatever the others turn out to be."""
    allow_text, _, deny_text = data.partition(b"%%\n")
    allow, deny = parse("allow", allow_text), parse("deny", deny_text)
    files: dict[bytes, tuple[HostPattern, ...] | None] = {b"/some": (host_pattern(b".example.test"),), b"/broken": None}

    def patterns_in(path: bytes) -> tuple[HostPattern, ...] | None:
        return files.get(path, ())

    for request in (REQUEST, REQUEST6):
        early = judge(allow, deny, request, Known({}, patterns_in))
        for values in product(*FACTS.values()):
            facts = dict(zip(FACTS, values, strict=True))
            for most in range(1, len(FACTS) + 1):
                known = {fact: facts[fact] for fact in list(FACTS)[:most]}
                verdict = judge(allow, deny, request, Known(known, patterns_in))
                if isinstance(early, Verdict):
                    assert isinstance(verdict, Verdict)
                    assert verdict.admit == early.admit
                elif isinstance(verdict, Unsure):
                    assert not verdict.facts & known.keys()
            assert isinstance(verdict, Verdict) or verdict.why


def ident(data: bytes) -> None:
    """A reply is about the two ports that were asked for, or is none; what it says is ASCII."""
    try:
        said = read_reply(data, 6191, 23)
    except ValueError:
        return
    assert said.isascii()
    ports = data.partition(b":")[0].split(b",")
    assert [int(port) for port in ports] == [6191, 23]
    user = Identity(said).user
    assert user is None or (user and not user[0].isspace())


def tcpmux(data: bytes) -> None:
    """However a line arrives in pieces, it is read the same, and refused no later than at its bound."""
    seen: list[Line] = []
    for length in range(min(len(data), LONGEST_NAME + 3) + 1):
        try:
            line = read_line(data[:length])
        except ValueError:
            assert not seen
            return
        if line is None:
            assert not seen
            continue
        seen.append(line)
        assert line == seen[0]
        assert line.length <= length
        assert data[: line.length].endswith(b"\n")
        assert b"\n" not in data[: line.length - 1]
        assert len(line.name) <= LONGEST_NAME
        assert line.name.isascii()
        assert line.name.isprintable()
    assert seen or len(data) <= LONGEST_NAME + 2


def proxy(data: bytes) -> None:
    """However a header arrives in pieces, it is read the same; it is within its bound, and whom it announces has an
    address of one spelling."""
    seen: list[Header] = []
    for length in range(min(len(data), LONGEST_HEADER) + 1):
        try:
            header = read_header(data[:length])
        except ValueError:
            assert not seen
            return
        if header is None:
            assert not seen
            continue
        seen.append(header)
        assert header == seen[0]
        assert header.length <= length
        source = header.announced.source
        assert source is None or Address.parse(source.text) == source
        assert 0 <= header.announced.port <= 65535
    assert seen or len(data) < LONGEST_HEADER


SCENE = Scene("gw.example", "192.0.2.9", 1_795_422_817.0, bytes(range(1, NOISE + 1)))
SAID_MOST = 32_768


def decoys(data: bytes) -> None:
    """The first byte chooses the decoy, the second how long the pieces are. However they are cut the talk is the same,
    it ends, and what is said to a line has nothing that would move a terminal's cursor, telnet's own commands and
    binary protocols excepted."""
    if len(data) < 2:
        return
    names = list(DECOYS)
    name, size = names[data[0] % len(names)], data[1] % 64 + 1
    said = data[2:]
    whole = _talk(name, [said])
    assert whole == _talk(name, [said[at : at + size] for at in range(0, len(said), size)])
    assert len(whole[0]) <= SAID_MOST
    assert _talk(name, [said + b"\n"] * (70_000 // (len(said) + 1) + 1) if said else [bytes(70_000)])[1]
    if name in TEXTUAL:
        assert all(byte in b"\r\n" or 0x20 <= byte < 0x7F for byte in whole[0])


TEXTUAL = frozenset({Decoy.FTP, Decoy.SMTP, Decoy.POP3, Decoy.IMAP, Decoy.REDIS})


def _talk(name: Decoy, pieces: list[bytes]) -> tuple[bytes, bool]:
    """What a decoy says to *pieces*, and whether it is over then."""
    dialogue, heard = DECOYS[name](SCENE), b""
    for piece in pieces:
        answer = dialogue.hear(piece)
        heard += answer.data
        if answer.over:
            return heard, True
    return heard, False


ROADS = tuple(
    {kind.__name__: kind for kind in kinds}
    for kinds in (
        messages.TO_COURIER,
        messages.FROM_COURIER,
        messages.TO_PORTER,
        messages.FROM_PORTER,
        messages.TO_HERALD,
        messages.FROM_HERALD,
    )
)


def channel(data: bytes) -> None:
    """What is believed can be said again in the same words."""
    for accepts in ROADS:
        try:
            sequence, found = _said(data, accepts)
        except MessageError:
            continue
        assert all(type(one).__name__ in accepts for one in found)
        again = encode(sequence, found)
        assert _said(again, accepts) == (sequence, found)


def _said(data: bytes, accepts: dict[str, type[Any]]) -> tuple[int, list[Any]]:
    """What is decoded, tables of trips as the runs they were read from; whatever can be made of a table is made."""
    sequence, found = decode(data, accepts)
    for table in (one for one in found if isinstance(one, TripTable)):
        assert 2 * len(table) == len(table.events()) == 2 * len(list(table.bans())) == 2 * len(table.sources())
        assert sum(part.stop - part.start for _, part in table.seconds()) == len(table.times())
    return sequence, [one.run if isinstance(one, TripTable) else one for one in found]


def rpc(data: bytes) -> None:
    """Records come out the same in whatever pieces they came; one too long is malformed from its head on."""
    whole = _records(data, len(data) or 1)
    if len(data) >= 4 and int.from_bytes(data[:4], "big") & ~xdr.LAST_FRAGMENT > xdr.LONGEST_RECORD:
        assert whole == ([], True)
    assert whole == _records(data, 1)
    for record in whole[0]:
        try:
            assert len(record) <= xdr.LONGEST_RECORD
            reply = xdr.reply(record)
            assert len(record) >= 12
            assert reply.failure or xdr.truth(reply.results) in (True, False)
            assert reply.failure or len(record) >= 28
        except xdr.Malformed:
            continue


def _records(data: bytes, size: int) -> tuple[list[bytes], bool]:
    """The records of *data*, fed so many bytes at a time, and whether it was found malformed after them."""
    records, found = xdr.Records(), []
    try:
        for start in range(0, len(data), size):
            for record in records.feed(data[start : start + size]):
                found.append(record)
    except xdr.Malformed:
        return found, True
    return found, False


def lists(data: bytes) -> None:
    """The first byte chooses the format. Whatever pieces a list comes in, it names the same networks; lines are those
    of the list."""
    if not data:
        return
    name, rest = sorted(READERS)[data[0] % len(READERS)], data[1:]
    whole = list(READERS[name]([rest], 0.0))
    pieces = [rest[at : at + 7] for at in range(0, len(rest), 7)]
    assert _named(READERS[name](pieces, 0.0)) == _named(whole)
    lines = rest.count(b"\n") + 1
    assert all(isinstance(item, Entry | Fault) and 0 <= item.line <= lines for item in whole)
    assert guessed(rest) in READERS


def _named(items: Iterable[Item]) -> list[Item]:
    return [item for item in items if isinstance(item, Entry)]


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "config_syntax": config_syntax,
    "hosts_access": hosts_access,
    "ident": ident,
    "tcpmux": tcpmux,
    "channel": channel,
    "rpc": rpc,
    "proxy": proxy,
    "decoys": decoys,
    "lists": lists,
}
