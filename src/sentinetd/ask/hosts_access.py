"""The tables of tcp wrappers, hosts.allow and hosts.deny, read and judged as hosts_access(5) has it.

`parse` and `judge` are functions of values; `Tables` has the files and asks for the facts that a judgement lacks. A
fact that cannot be found out denies, unless the verdict is the same either way.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Iterator
from stat import S_ISREG
from typing import Self

from sentinetd.ask.hosts_options import Outcome, outcome
from sentinetd.ask.ident import Identity
from sentinetd.ask.names import HostName
from sentinetd.ask.patterns import (
    LACKING,
    PARANOID,
    UNKNOWN,
    Fact,
    Host,
    HostPattern,
    Known,
    Truth,
    Unsure,
    any_of,
    both,
    host_pattern,
    merged,
    negation,
    split_at,
    text_pattern,
)
from sentinetd.model.address import Address
from sentinetd.model.noun import dataclass

ALLOW = "/etc/hosts.allow"
DENY = "/etc/hosts.deny"
LONGEST_LINE = 2047
"""Bytes of a line, its continuations joined and its end included; the C library gives up at a longer one."""
LONGEST_FILE = 4 << 20
"""Bytes of a file that is read."""
_SEPARATORS = b", \t\r\n"


@dataclass(frozen=True, slots=True)
class Request:
    """Who wants what: *daemon* is the name that the service goes by, the rest the two ends of the connection."""

    daemon: str
    source: Address
    source_port: int
    local: Address
    local_port: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """*where*: file and line of the rule that decided, or what was wrong; "" where no rule matched."""

    admit: bool
    where: str = ""
    spawns: bool = False


@dataclass(frozen=True, slots=True)
class Ends:
    """A request as the patterns see it."""

    daemon: bytes
    port: int
    server: Host
    client: Host

    @classmethod
    def of(cls, request: Request) -> Self:
        """The two ends of *request*."""
        return cls(
            request.daemon.encode("utf-8", "surrogateescape").lower(),
            request.local_port,
            Host.at(request.local, Fact.SERVER_NAME),
            Host.at(request.source, Fact.CLIENT_NAME),
        )


Pattern = Callable[[Ends, Known], Truth]
ONE_ADDRESS = re.compile(
    rb"(?!except[ \t]*:)([^\s,:@#\[\]\\\0][^\s,:@\[\]\\\0]*)[ \t]*:[ \t]*(\d+\.\d+\.\d+\.\d+)[ \t]*\n",
    re.IGNORECASE,
)
"""A rule for one word of daemons and one IPv4 address, in the spelling of addresses, with no option."""


@dataclass(frozen=True, slots=True)
class Words:
    """A list: one of *patterns*, EXCEPT what *exceptions* has."""

    patterns: tuple[Pattern, ...]
    exceptions: Words | None

    def match(self, ends: Ends, known: Known) -> Truth:
        """Whether the list means *ends*."""
        truth = any_of([pattern(ends, known) for pattern in self.patterns])
        if truth is False or self.exceptions is None:
            return truth
        return both(truth, negation(self.exceptions.match(ends, known)))


ANYBODY = Words((lambda ends, known: True,), None)
NOTHING_ELSE = Outcome()


@dataclass(frozen=True, slots=True)
class Rule:
    """A line of a table, which begins at *line*."""

    line: int
    daemons: Words
    clients: Words
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Addresses:
    """Rules that follow each other, are for the same *daemons*, and name one IPv4 address each: *lines* has theirs by
    its text. Programs that keep attackers out write such lists, and some are long."""

    daemons: Words
    lines: dict[bytes, int]

    def rule(self, client: bytes) -> Rule | None:
        """The rule that names *client*; of several, the first."""
        line = self.lines.get(client)
        return None if line is None else Rule(line, self.daemons, ANYBODY, NOTHING_ELSE)


@dataclass(frozen=True, slots=True)
class Table:
    """The rules of the file *path* as far as they go; *broken* says why no more could be read, if so."""

    path: str
    rules: tuple[Rule | Addresses, ...] = ()
    broken: str = ""


def parse(path: str, text: bytes) -> Table:
    """The table that *text* is. Never fails: a line without a colon is no rule, a line without end ends the table."""
    rules: list[Rule | Addresses] = []
    last, lines = b"", dict[bytes, int]()  # of the addresses that come last
    for number, line in _lines(text):
        if not line.endswith(b"\n") or len(line) > LONGEST_LINE or b"\0" in line:
            return Table(path, tuple(rules), f"{path}:{number}: missing newline, line too long or NUL byte")
        if found := ONE_ADDRESS.fullmatch(line):
            if found[1] != last:
                last, lines = found[1], {}
                rules.append(Addresses(_words(last, _daemon), lines))
            lines.setdefault(found[2], number)
            continue
        if line.startswith(b"#") or not line.strip(b" \t\r\n"):
            continue
        daemons, rest = split_at(line, b":")
        if rest is None:
            continue
        clients, options = split_at(rest, b":")
        done = NOTHING_ELSE if options is None else outcome(options)
        last = b""
        rules.append(Rule(number, _words(daemons, _daemon), _words(clients, _client), done))
    return Table(path, tuple(rules))


def _lines(text: bytes) -> Iterator[tuple[int, bytes]]:
    """Number of its first part and bytes of each line; a newline after a backslash is none."""
    line, first = b"", 1
    parts = text.split(b"\n")
    for number, part in enumerate(parts, 1):
        line += part + b"\n" if number < len(parts) else part
        if line.endswith(b"\\\n"):
            line = line[:-2]
            continue
        if line:
            yield first, line
        line, first = b"", number + 1


def _words(text: bytes, pattern: Callable[[bytes], Pattern]) -> Words:
    """The list *text*: ``a EXCEPT b EXCEPT c`` is ``a EXCEPT (b EXCEPT c)``."""
    lists: list[list[Pattern]] = [[]]
    for word in text.translate(bytes.maketrans(_SEPARATORS, b" " * len(_SEPARATORS))).split(b" "):
        if word.lower() == b"except":
            lists.append([])
        elif word:
            lists[-1].append(pattern(word))
    words: Words | None = None
    for patterns in reversed(lists):
        words = Words(tuple(patterns), words)
    assert words is not None
    return words


def _daemon(word: bytes) -> Pattern:
    """A daemon's name or the server's port, and perhaps ``@`` and a pattern for the server's own address."""
    name, at = split_at(word, b"@", 1)
    digits = name.removeprefix(b"+")
    port = int(digits) if digits.isdigit() and len(digits) < 10 and int(digits) <= 65535 else None
    means = text_pattern(name)
    server = None if at is None else host_pattern(at)

    def matches(ends: Ends, known: Known) -> Truth:
        if not (means(ends.daemon) if port is None else port == ends.port):
            return False
        return server is None or server(ends.server, known, 0)

    return matches


def _client(word: bytes) -> Pattern:
    """A pattern for the client's host, perhaps one for its user and ``@`` before it."""
    user, at = split_at(word, b"@", 1)
    if at is None:
        plain = host_pattern(word)
        return lambda ends, known: plain(ends.client, known, 0)
    host, means = host_pattern(at), text_pattern(user)

    def matches(ends: Ends, known: Known) -> Truth:
        if (truth := host(ends.client, known, 0)) is False:
            return False
        owner = known.facts.get(Fact.USER)
        return both(truth, LACKING[Fact.USER] if owner is None else means(owner))

    return matches


def judge(allow: Table, deny: Table, request: Request, known: Known) -> Verdict | Unsure:
    """The first rule that matches decides; no rule admits. Unsure if that hangs on what is not known."""
    ends = Ends.of(request)
    possible: list[Verdict] = []
    lacking = Unsure()
    for table, admits in ((allow, True), (deny, False)):
        for one in table.rules:
            rule = one.rule(ends.client.text) if isinstance(one, Addresses) else one
            if rule is None:
                continue
            if (truth := rule.daemons.match(ends, known)) is False:
                continue
            if (truth := both(truth, rule.clients.match(ends, known))) is False:
                continue
            done = rule.outcome
            where = f"{table.path}:{rule.line}" + (f": {done.why}" if done.why else "")
            verdict = Verdict(admits if done.admit is None else done.admit, where, done.spawns)
            if truth is True:
                return _settled(possible, verdict, lacking)
            possible.append(verdict)
            lacking = merged(lacking, truth)
        if table.broken and not admits:
            return _settled(possible, Verdict(False, table.broken), lacking)
    return _settled(possible, Verdict(True, allow.broken), lacking)


def _settled(possible: list[Verdict], last: Verdict, lacking: Unsure) -> Verdict | Unsure:
    """*last*, if every rule that might have come before it says the same; no command is run on a guess."""
    if all(one.admit == last.admit for one in possible):
        return last
    return lacking


class Tables:
    """The two files of this host, read again whenever they have changed."""

    def __init__(
        self,
        name_of: Callable[[str, float], Awaitable[HostName | None]],
        owner_of: Callable[[Address, int, Address, int, float], Awaitable[Identity]],
        now: Callable[[], float],
        allow: str = ALLOW,
        deny: str = DENY,
    ) -> None:
        self._name_of = name_of
        self._owner_of = owner_of
        self._now = now
        self._allow = allow
        self._deny = deny
        self._tables: dict[str, tuple[tuple[int, ...], Table]] = {}
        self._held: dict[str, int] = {}  # descriptors of the two, where we may not open them
        self._files: dict[bytes, tuple[tuple[int, ...], tuple[HostPattern, ...]]] = {}

    def hold(self, deny: bool, descriptor: int) -> None:
        """Read hosts.allow, or hosts.deny if *deny*, from *descriptor*, which becomes ours, if it may not be opened."""
        path = self._deny if deny else self._allow
        before = self._held.get(path)
        if before is not None:
            os.close(before)
        self._held[path] = descriptor

    async def judge(self, request: Request, seconds: float) -> Verdict:
        """Whether *request* is admitted; what it takes is looked up within *seconds*."""
        end = self._now() + seconds
        facts: dict[Fact, bytes] = {}
        untried = [Fact.CLIENT_NAME, Fact.SERVER_NAME, Fact.USER]  # from the cheapest to the dearest
        while True:
            verdict = judge(self._table(self._allow), self._table(self._deny), request, Known(facts, self._patterns_in))
            if isinstance(verdict, Verdict):
                return verdict
            wanted = next((fact for fact in untried if fact in verdict.facts), None)
            if wanted is None:
                names = " and ".join(sorted(fact.value for fact in verdict.facts))
                return Verdict(False, verdict.why or f"could not find out {names}")
            untried.remove(wanted)
            if (value := await self._find_out(wanted, request, max(0.0, end - self._now()))) is not None:
                facts[wanted] = value.lower()

    async def _find_out(self, fact: Fact, request: Request, seconds: float) -> bytes | None:
        if fact is Fact.USER:
            owner = await self._owner_of(
                request.source, request.source_port, request.local, request.local_port, seconds
            )
            return (owner.user or "").encode() or UNKNOWN
        address = request.source if fact is Fact.CLIENT_NAME else request.local
        name = await self._name_of(address.text, seconds)
        if name is None:
            return None
        return PARANOID if name.liar else name.text.encode() or UNKNOWN

    def _table(self, path: str) -> Table:
        try:
            stamp = _stamp(path)
            kept = self._tables.get(path)
            if kept is None or kept[0] != stamp:
                kept = self._tables[path] = stamp, parse(path, self._text(path))
        except FileNotFoundError:
            return Table(path)
        except OSError as error:
            return Table(path, broken=f"{path}: {error.strerror}")
        return kept[1]

    def _text(self, path: str) -> bytes:
        try:
            return _read(path)
        except PermissionError:
            held = self._held.get(path)
            if held is None or not os.path.samestat(os.fstat(held), os.stat(path)):
                raise
            return os.pread(held, LONGEST_FILE, 0)

    def _patterns_in(self, path: bytes) -> tuple[HostPattern, ...] | None:
        try:
            stamp = _stamp(path)
            kept = self._files.get(path)
            if kept is None or kept[0] != stamp:
                kept = self._files[path] = stamp, tuple(map(host_pattern, _read(path).split()))
        except FileNotFoundError:
            return ()
        except OSError:
            return None
        return kept[1]


def _stamp(path: str | bytes) -> tuple[int, ...]:
    """What tells one state of a file from another."""
    state = os.stat(path)
    if not S_ISREG(state.st_mode):
        raise OSError(0, "not a regular file")
    if state.st_size > LONGEST_FILE:
        raise OSError(0, f"more than {LONGEST_FILE} bytes")
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _read(path: str | bytes) -> bytes:
    with open(path, "rb") as file:
        return file.read(LONGEST_FILE)
