"""hosts.allow and hosts.deny, beside the system's libwrap: hand-picked rules, rules from a grammar, and plain noise."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from rig.libwrap import Libwrap, Query, present
from sentinetd.ask import hosts_access
from sentinetd.ask.hosts_access import Request, Tables, Verdict, judge, parse
from sentinetd.ask.ident import Identity
from sentinetd.ask.names import LIAR, UNNAMED, HostName
from sentinetd.ask.patterns import Fact, HostPattern, Known, Unsure, glob_matches, host_pattern, merged
from sentinetd.model.address import Address

CLIENTS = ["192.0.2.7", "131.155.72.9", "10.0.0.1", "10.255.255.255", "2001:db8::7", "fe80::1", "::1"]
NAMES = ["wzv.win.tue.nl", "Tue.NL", "lonely", "unknown", "paranoid", "ftp.example.test"]
USERS = ["joe", "unknown"]
DAEMONS = ["in.ftpd", "sshd", "vsftpd"]

QUERIES = st.builds(
    Query,
    daemon=st.sampled_from(DAEMONS),
    name=st.sampled_from(NAMES),
    address=st.sampled_from(CLIENTS),
    user=st.sampled_from(USERS),
    server_name=st.sampled_from(NAMES),
    server_address=st.sampled_from(CLIENTS),
    server_port=st.sampled_from([21, 22]),
)


def plain_files(path: bytes) -> tuple[HostPattern, ...] | None:
    try:
        return tuple(map(host_pattern, Path(os.fsdecode(path)).read_bytes().split()))
    except FileNotFoundError:
        return ()
    except OSError:
        return None


def ours(allow: bytes, deny: bytes, query: Query) -> Verdict | Unsure:
    known = Known(
        {
            Fact.CLIENT_NAME: query.name.lower().encode(),
            Fact.SERVER_NAME: query.server_name.lower().encode(),
            Fact.USER: query.user.encode(),
        },
        plain_files,
    )
    request = Request(
        query.daemon, Address.parse(query.address), 40000, Address.parse(query.server_address), query.server_port
    )
    return judge(parse("allow", allow), parse("deny", deny), request, known)


class Oracle:
    """libwrap with tables of its own, written anew for each question."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._libwrap = Libwrap(directory)

    def admits(self, allow: bytes, deny: bytes, query: Query) -> bool:
        (self.directory / "hosts.allow").write_bytes(allow)
        (self.directory / "hosts.deny").write_bytes(deny)
        return self._libwrap.admits(query)

    def close(self) -> None:
        self._libwrap.close()


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    if not present():
        pytest.fail("compares with libwrap.so.0: apt-get install libwrap0 (`make test` does)")
    made = Oracle(tmp_path_factory.mktemp("tables"))
    try:
        yield made
    finally:
        made.close()


PEER = Query("in.ftpd", "wzv.win.tue.nl", "131.155.72.9", "joe", "ftp.example.test", "192.0.2.7", 21)
SIX = Query("in.ftpd", "wzv.win.tue.nl", "2001:db8::7", "joe", "ftp.example.test", "::1", 21)
STRANGER = Query("in.ftpd", "unknown", "131.155.72.9", "unknown", "unknown", "192.0.2.7", 21)


@pytest.mark.parametrize(
    ("deny", "query", "admit"),
    [
        pytest.param(b"", PEER, True, id="no rule admits"),
        pytest.param(b"ALL: ALL\n", PEER, False, id="all"),
        pytest.param(b"all: all\n", PEER, False, id="in small letters"),
        pytest.param(b"sshd: ALL\n", PEER, True, id="another daemon"),
        pytest.param(b"sshd, in.ftpd: ALL\n", PEER, False, id="one of the daemons"),
        pytest.param(b"21: ALL\n", PEER, False, id="the server's port"),
        pytest.param(b"22: ALL\n", PEER, True, id="another port"),
        pytest.param(b"in.ftpd@192.0.2.: ALL\n", PEER, False, id="the server's address"),
        pytest.param(b"in.ftpd@.example.test: ALL\n", PEER, False, id="the server's name"),
        pytest.param(b"ALL: .tue.nl\n", PEER, False, id="a suffix"),
        pytest.param(b"ALL: wzv.win.tue.nl\n", PEER, False, id="a name"),
        pytest.param(b"ALL: WZV.win.tue.NL\n", PEER, False, id="a name in capitals"),
        pytest.param(b"ALL: tue.nl\n", PEER, True, id="a part of a name is no suffix"),
        pytest.param(b"ALL: 131.155.\n", PEER, False, id="a prefix"),
        pytest.param(b"ALL: 131.155.72.0/255.255.254.0\n", PEER, False, id="a mask"),
        pytest.param(b"ALL: 131.155.72.9/255.255.255.255\n", PEER, True, id="the mask that is none"),
        pytest.param(b"ALL: 131.155.72.9/24\n", PEER, True, id="host bits are set: nothing"),
        pytest.param(b"ALL: 131.155.0.0/16\n", PEER, False, id="bits"),
        pytest.param(b"ALL: 0.0.0.0/0\n", PEER, True, id="no bits: nothing"),
        pytest.param(b"ALL: [2001:db8::]/32\n", SIX, False, id="an IPv6 network"),
        pytest.param(b"ALL: [2001:db8::]/32\n", PEER, True, id="an IPv6 network and IPv4"),
        pytest.param(b"ALL: [2001:db8::7]\n", SIX, False, id="an IPv6 address"),
        pytest.param(b"ALL: [2001:DB8:0::7]\n", SIX, False, id="an IPv6 address in another spelling"),
        pytest.param(b"ALL: [::]/0\n", SIX, False, id="all of IPv6"),
        pytest.param(b"ALL: *.tue.?l\n", PEER, False, id="wildcards"),
        pytest.param(b"ALL: 131.*\n", PEER, False, id="wildcards in an address"),
        pytest.param(b"ALL: KNOWN\n", PEER, False, id="known"),
        pytest.param(b"ALL: KNOWN\n", STRANGER, True, id="not known"),
        pytest.param(b"ALL: UNKNOWN\n", STRANGER, False, id="unknown"),
        pytest.param(b"ALL: LOCAL\n", PEER, True, id="a name with dots is not local"),
        pytest.param(b"ALL: LOCAL\n", STRANGER, True, id="no name is not local"),
        pytest.param(b"ALL: joe@ALL\n", PEER, False, id="a user"),
        pytest.param(b"ALL: UNKNOWN@ALL\n", STRANGER, False, id="an unknown user"),
        pytest.param(b"ALL: ALL EXCEPT .tue.nl\n", PEER, True, id="except"),
        pytest.param(b"ALL: ALL EXCEPT .nl EXCEPT wzv.win.tue.nl\n", PEER, False, id="except except"),
        pytest.param(b"ALL EXCEPT in.ftpd: ALL\n", PEER, True, id="daemons except"),
        pytest.param(b"# ALL: ALL\n \t\n", PEER, True, id="comments and blanks"),
        pytest.param(b"# \\\nALL: ALL\n", PEER, True, id="a comment goes on"),
        pytest.param(b"ALL: \\\n ALL\n", PEER, False, id="a rule goes on"),
        pytest.param(b"ALL ALL\n", PEER, True, id="a line without a colon is none"),
        pytest.param(b"ALL: ALL", PEER, False, id="a last line without end refuses"),
        pytest.param(b"sshd: ALL\nnothing", PEER, False, id="a table without end refuses"),
        pytest.param(b"ALL: nobody\nsshd: " + b"x " * 2000 + b"\n", PEER, False, id="a line too long refuses"),
        pytest.param(b"ALL: ALL: ALLOW\n", PEER, True, id="allowed in the deny file"),
        pytest.param(b"ALL: ALL: severity auth.info: allow\n", PEER, True, id="allowed after another option"),
        pytest.param(b"ALL: ALL: allow: severity auth.info\n", PEER, False, id="allow must be last"),
        pytest.param(b"ALL: ALL: allow=yes\n", PEER, False, id="allow takes no value"),
        pytest.param(b"ALL: ALL: severity\n", PEER, False, id="severity takes one"),
        pytest.param(b"ALL: ALL: (echo hello)\n", PEER, False, id="a command without option name"),
        pytest.param(b"ALL: .tue.nl:\nALL: ALL: allow\n", PEER, False, id="an empty option"),
        pytest.param(b"ALL: [2001:db8::]/32: allow\nALL: ALL\n", SIX, True, id="colons in brackets"),
        pytest.param(b"ALL: banners /x\\:y: deny\n", PEER, True, id="a colon behind a backslash is a clients' one"),
        pytest.param(b"ALL: ALL: banners /no\\:where: allow\n", PEER, True, id="a colon in an option"),
    ],
)
def test_rules(oracle: Oracle, deny: bytes, query: Query, admit: bool) -> None:
    verdict = ours(b"", deny, query)
    assert isinstance(verdict, Verdict)
    assert verdict.admit is admit
    assert oracle.admits(b"", deny, query) is admit


@pytest.mark.parametrize(
    ("allow", "deny", "admit", "where"),
    [
        pytest.param(b"ALL: .tue.nl\n", b"ALL: ALL\n", True, "allow:1", id="the first table is asked first"),
        pytest.param(b"ALL: .example.test\n", b"\n\nALL: \\\n ALL\n", False, "deny:3", id="the second then"),
        pytest.param(b"ALL: .tue.nl: deny\n", b"", False, "allow:1", id="denied in the allow file"),
        pytest.param(b"ALL: ALL: umask 077\n", b"", False, "allow:1: option umask is not carried out", id="an option"),
        pytest.param(
            b"nobody: ALL\nALL: ALL", b"", True, "allow:2: missing newline, line too long or NUL byte", id="broken"
        ),
    ],
)
def test_tables(allow: bytes, deny: bytes, admit: bool, where: str) -> None:
    assert ours(allow, deny, PEER) == Verdict(admit, where)


@pytest.mark.parametrize(
    ("options", "admit", "spawns"),
    [
        pytest.param(b"spawn (/bin/echo %h)&", True, True, id="spawn is passed over and told"),
        pytest.param(b"spawn /bin/x: deny", False, True, id="spawn and deny"),
        pytest.param(b"spawn", False, False, id="spawn what?"),
        pytest.param(b"twist /bin/echo 421 go away", False, False, id="twist refuses"),
        pytest.param(b"aclexec /bin/true %a", False, False, id="aclexec refuses"),
        pytest.param(b"user nobody", False, False, id="user refuses"),
        pytest.param(b"keepalive: linger 10: nice: rfc931 5", True, False, id="what changes nothing"),
    ],
)
def test_options_that_run_or_change_something(options: bytes, admit: bool, spawns: bool) -> None:
    verdict = ours(b"ALL: ALL: " + options + b"\n", b"", PEER)
    assert isinstance(verdict, Verdict)
    assert (verdict.admit, verdict.spawns) == (admit, spawns)


PATTERNS = st.sampled_from(
    """ALL LOCAL KNOWN UNKNOWN PARANOID all known .nl .tue.nl .TEST wzv. wzv.win.tue.nl lonely tue.nl 131. 131.155.
    192.0.2.7 10.0.0.1 10.0.0.0/8 131.155.72.0/255.255.254.0 131.155.72.9/32 192.0.2.0/24 192.0.2.7/24 0.0.0.0/0
    0.0.0.0/0.0.0.0 255.255.255.255 255.255.255.255/32 1.2.3/8 10.0.0.0/8x 10.0.0.0/33 10.0.0.0/-1 012.0.0.0/8
    0xa.0.0.0/8 .10.0.0.0/8 10.0.0.0/ / [2001:db8::]/32 [2001:db8::7] [2001:db8::7]/128 [::]/0 [::]/x [::]/129
    [fe80::1] [fe80::]/10 [::1]/127 [::ffff:10.0.0.1] [::ffff:10.0.0.0]/104 [nonsense]/64 [2001:db8::7 2001:db8::7]
    *.tue.nl w?v.* *a*o* lon?ly *:* fe80* .2.7 in.ftpd ? joe EXCEPT except @T@/one @T@/two @T@/nothing""".split()  # noqa: SIM905
)
WORDS = st.one_of(
    PATTERNS,
    PATTERNS,
    st.builds("{}@{}".format, st.sampled_from(["joe", "KNOWN", "UNKNOWN", "ALL", "jo*", "PARANOID"]), PATTERNS),
)
DAEMONS_NAMED = st.sampled_from("in.ftpd sshd ALL all KNOWN in. .ftpd *ftpd 21 22 +21 65536 EXCEPT".split())  # noqa: SIM905
DAEMON_WORDS = st.one_of(DAEMONS_NAMED, st.builds("{}@{}".format, st.sampled_from(["in.ftpd", "ALL", "21"]), PATTERNS))
SEPARATOR = st.sampled_from([" ", ", ", ",", "\t", " \\\n"])


def listed(words: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(st.tuples(words, SEPARATOR), max_size=5).map(lambda rows: "".join(word + gap for word, gap in rows))


OPTION = st.sampled_from(
    ["allow", "deny", "ALLOW", "severity auth.info", "severity=bad", "nice 3", "nice x", "rfc931", "rfc931 0", "x", "",
     "keepalive", "keepalive 1", "linger -1", "linger 5", "banners /no\\:where", "deny now", " allow "]
)  # fmt: skip
RULE = st.one_of(
    st.builds("{}: {}".format, listed(DAEMON_WORDS), listed(WORDS)),
    st.builds(
        "{}:{}:{}".format, listed(DAEMON_WORDS), listed(WORDS), st.lists(OPTION, min_size=1, max_size=3).map(":".join)
    ),
    st.sampled_from(["", "# ALL: ALL", "no colon", " \t", "#\\"]),
)
ENDS = st.sampled_from(["\n", "\n", "\n", "", "\\\n"])
TABLE = st.builds(lambda rules, end: "\n".join(rules) + end, st.lists(RULE, max_size=5), ENDS)


def undecidable(text: bytes) -> bool:
    """Where we part from the library on purpose: netgroups, wildcards among digits, two stars in a row."""
    words = re.split(rb"[\s,:]+", text.replace(b"\\\n", b""))
    return (
        b"**" in text
        or any(
            (re.fullmatch(rb"(.*@)?[0-9./*?]*[*?][0-9./*?]*", word) and word.strip(b"*?"))
            or re.match(rb"(.+@)?@", word)
            for word in words
        )
        or b"?" in [word.rpartition(b"@")[2] for word in words]
    )


LISTED = st.lists(
    st.tuples(
        st.sampled_from(["sshd", "SSHD", "ALL", "in.ftpd", "EXCEPT", "ssh*", "22", "#sshd", "sshd,in.ftpd"]),
        st.sampled_from([":", " : ", "\t:\t", " "]),
        st.sampled_from([*CLIENTS[:4], "131.155.72.9, 10.0.0.1", "131.155.", "010.0.0.1", "10.0.0.1.5", "ALL"]),
        st.sampled_from(["", "", "", " ", " : allow", " : deny", " \\"]),
    ),
    max_size=12,
)
"""Lines as programs write them that keep attackers out, and what only looks like one."""


@given(lines=LISTED, others=LISTED, query=QUERIES)
def test_a_list_of_addresses_means_what_its_lines_mean(
    lines: list[tuple[str, str, str, str]], others: list[tuple[str, str, str, str]], query: Query
) -> None:
    deny, allow = ("".join(f"{''.join(one)}\n" for one in some).encode() for some in (lines, others))
    together = ours(allow, deny, query)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(hosts_access, "ONE_ADDRESS", re.compile(rb"(?!)"))
        assert ours(allow, deny, query) == together


def test_a_long_list_of_addresses_is_one_look() -> None:
    text = b"".join(b"ALL: 10.%d.%d.%d\n" % (n >> 16, n >> 8 & 255, n & 255) for n in range(2000))
    assert len(parse("deny", b"# banned\n" + text).rules) == 1
    assert len(parse("deny", text + b"sshd: 192.0.2.7 : allow\n" + text).rules) == 3


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TABLE, TABLE, QUERIES)
def test_grammar_beside_libwrap(oracle: Oracle, allow: str, deny: str, query: Query) -> None:
    (oracle.directory / "one").write_bytes(b"192.0.2.7 .tue.nl\n# [::]/0")
    (oracle.directory / "two").write_bytes(b"10.0.0.0/8 %s/one lonely KNOWN\n" % bytes(oracle.directory))
    texts = [text.replace("@T@", str(oracle.directory)).encode() for text in (allow, deny)]
    assume(not any(map(undecidable, texts)))
    verdict = ours(*texts, query)
    assume(isinstance(verdict, Verdict))
    assert isinstance(verdict, Verdict)
    assert verdict.admit is oracle.admits(*texts, query)


NOISE = st.text("AL:, \t\\\n#.*?/[]19=aEXCPT", max_size=60).map(str.encode)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(NOISE, NOISE, QUERIES)
def test_noise_beside_libwrap(oracle: Oracle, allow: bytes, deny: bytes, query: Query) -> None:
    assume(not undecidable(allow) and not undecidable(deny))
    verdict = ours(allow, deny, query)
    assume(isinstance(verdict, Verdict))
    assert isinstance(verdict, Verdict)
    assert verdict.admit is oracle.admits(allow, deny, query)


@given(st.binary(max_size=400), st.binary(max_size=400), QUERIES)
def test_any_bytes_are_a_table(allow: bytes, deny: bytes, query: Query) -> None:
    def no_files(path: bytes) -> None:
        return None

    known = Known({}, no_files)
    request = Request(query.daemon, Address.parse(query.address), 1, Address.parse(query.server_address), 21)
    assert isinstance(judge(parse("a", allow), parse("d", deny), request, known), (Verdict, Unsure))


@given(st.text("ab*?", max_size=12).map(str.encode), st.text("ab", max_size=12).map(str.encode))
def test_glob(pattern: bytes, text: bytes) -> None:
    expression = re.escape(pattern).replace(rb"\*", b".*").replace(rb"\?", b".")
    assert glob_matches(pattern, text) is bool(re.fullmatch(expression, text))


def test_a_hostile_glob_takes_no_time() -> None:
    assert glob_matches(b"*a" * 100 + b"b", b"a" * 250) is False


# What is lacking is looked up, and only that.

NAME = "wzv.win.tue.nl"
SOURCE = Address.parse("131.155.72.9")


class Facts:
    """Stands for the look-ups; *asked* is what was looked up, in order."""

    def __init__(self, name: HostName | None) -> None:
        self.name = name
        self.asked: list[str] = []

    async def name_of(self, address: str, seconds: float) -> HostName | None:
        self.asked.append(address)
        return self.name

    async def owner(self, source: Address, port: int, local: Address, local_port: int, seconds: float) -> Identity:
        self.asked.append(f"{source}:{port} {local}:{local_port}")
        return Identity("UNIX : joe")


@pytest.fixture
def decide(tmp_path: Path) -> Callable[[str, str, Facts], Verdict]:
    def run(allow: str, deny: str, facts: Facts) -> Verdict:
        (tmp_path / "allow").write_text(allow)
        (tmp_path / "deny").write_text(deny)
        tables = Tables(facts.name_of, facts.owner, lambda: 0.0, str(tmp_path / "allow"), str(tmp_path / "deny"))
        request = Request("in.ftpd", SOURCE, 40000, Address.parse("192.0.2.7"), 21)
        verdict = asyncio.run(tables.judge(request, 5.0))
        return Verdict(verdict.admit, verdict.where.replace(f"{tmp_path}/", ""), verdict.spawns)

    return run


Decide = Callable[[str, str, Facts], Verdict]


@pytest.mark.parametrize(
    ("allow", "deny", "name", "verdict", "asked"),
    [
        pytest.param("", "", HostName(NAME), Verdict(True), [], id="no rule, no question"),
        pytest.param("ALL: 131.155.\n", "ALL: ALL\n", UNNAMED, Verdict(True, "allow:1"), [], id="no name needed"),
        pytest.param("sshd: .tue.nl\n", "", HostName(NAME), Verdict(True), [], id="not for this daemon"),
        pytest.param(
            "ALL: .tue.nl\n", "ALL: ALL\n", HostName(NAME), Verdict(True, "allow:1"), ["131.155.72.9"], id="by name"
        ),
        pytest.param(
            "ALL: .tue.nl\n", "ALL: ALL\n", None,
            Verdict(False, "could not find out the client's host name"), ["131.155.72.9"], id="a missing fact denies",
        ),
        pytest.param(
            "", "ALL: .evil.test\n", None,
            Verdict(False, "could not find out the client's host name"), ["131.155.72.9"], id="the deny file too",
        ),
        pytest.param(
            "ALL: .tue.nl 131.155.\n", "ALL: ALL\n", None, Verdict(True, "allow:1"), [], id="it is admitted either way"
        ),
        pytest.param(
            "ALL: .tue.nl\nALL: 131.\n", "ALL: ALL\n", None, Verdict(True, "allow:2"), [], id="by either rule"
        ),
        pytest.param("ALL: .tue.nl: deny\n", "ALL: ALL\n", None, Verdict(False, "deny:1"), [], id="refused either way"),
        pytest.param("", "ALL: PARANOID\n", LIAR, Verdict(False, "deny:1"), ["131.155.72.9"], id="paranoid"),
        pytest.param("", "ALL: PARANOID\n", UNNAMED, Verdict(True), ["131.155.72.9"], id="no name is no lie"),
        pytest.param("", "ALL: UNKNOWN\n", UNNAMED, Verdict(False, "deny:1"), ["131.155.72.9"], id="unknown"),
        pytest.param(
            "", "ALL@.tue.nl: ALL\n", HostName(NAME), Verdict(False, "deny:1"), ["192.0.2.7"], id="the server's name"
        ),
        pytest.param(
            "", "ALL: joe@ALL\n", None, Verdict(False, "deny:1"), ["131.155.72.9:40000 192.0.2.7:21"], id="the user"
        ),
        pytest.param("", "ALL: joe@10.\n", None, Verdict(True), [], id="no user of another host is asked for"),
        pytest.param(
            "", "ALL: @office\n", HostName(NAME), Verdict(False, "netgroups are not asked (@office)"), [], id="netgroup"
        ),
        pytest.param("ALL: @office\n", "", HostName(NAME), Verdict(True), [], id="a netgroup that does not matter"),
    ],
)  # fmt: skip
def test_what_is_looked_up(
    decide: Decide, allow: str, deny: str, name: HostName | None, verdict: Verdict, asked: list[str]
) -> None:
    facts = Facts(name)
    assert decide(allow, deny, facts) == verdict
    assert facts.asked == asked


def test_files_are_read_again_when_they_change(tmp_path: Path) -> None:
    async def story() -> None:
        allow, deny, hosts = tmp_path / "allow", tmp_path / "deny", tmp_path / "hosts"
        facts = Facts(HostName(NAME))
        tables = Tables(facts.name_of, facts.owner, lambda: 0.0, str(allow), str(deny))
        request = Request("in.ftpd", SOURCE, 40000, SOURCE, 21)

        async def admits() -> bool:
            return (await tables.judge(request, 5.0)).admit

        assert await admits()  # neither is there
        deny.write_text(f"ALL: {hosts}\n")
        assert await admits()  # the list is not there
        hosts.write_text("10.\n131.155.")
        assert not await admits()
        hosts.write_text("10.\n131.156.")
        assert await admits()
        deny.write_text("ALL: ALL\n")
        assert not await admits()
        deny.unlink()
        assert await admits()

    asyncio.run(story())


def test_what_cannot_be_read_denies(tmp_path: Path) -> None:
    async def story() -> None:
        facts = Facts(HostName(NAME))
        request = Request("in.ftpd", SOURCE, 40000, SOURCE, 21)
        tables = Tables(facts.name_of, facts.owner, lambda: 0.0, str(tmp_path / "allow"), str(tmp_path))
        assert await tables.judge(request, 5.0) == Verdict(False, f"{tmp_path}: not a regular file")
        (tmp_path / "deny").write_text(f"ALL: {tmp_path}\n")
        tables = Tables(facts.name_of, facts.owner, lambda: 0.0, str(tmp_path / "allow"), str(tmp_path / "deny"))
        assert await tables.judge(request, 5.0) == Verdict(False, f"{tmp_path} cannot be read")
        (tmp_path / "deny").write_text(f"ALL: {tmp_path}/deny\n")
        assert "too often" in (await tables.judge(request, 5.0)).where

    asyncio.run(story())


def test_merged_keeps_every_lack() -> None:
    both = merged(Unsure(frozenset({Fact.USER})), Unsure(frozenset({Fact.CLIENT_NAME}), "why"))
    assert both == Unsure(frozenset({Fact.USER, Fact.CLIENT_NAME}), "why")
