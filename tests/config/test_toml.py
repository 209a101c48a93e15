"""sentinetd.toml: what is read, and what is said of what cannot be."""

from __future__ import annotations

import pytest

from config.machine import Machine
from sentinetd.config.load import load
from sentinetd.config.toml import Written, read_settings
from sentinetd.model.address import AddressSet, Network
from sentinetd.model.settings import (
    AtStop,
    BanSettings,
    FirewallBackend,
    FirewallSettings,
    Guarded,
    MdnsSettings,
    Refusing,
    Settings,
    StoreSettings,
)
from sentinetd.model.values import Credentials, Place


def read(text: str | None) -> tuple[Settings, list[str]]:
    files = {} if text is None else {"s.toml": text.encode("utf-8", "surrogateescape")}
    result = read_settings("s.toml", Machine(files), required=False)
    return result.settings, [f"{one.scope.value}: {one}" for one in result.diagnostics]


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        pytest.param(None, Settings(), id="no file"),
        pytest.param("", Settings(), id="an empty one"),
        pytest.param("[bans]\nmaximum = 5", Settings(bans=BanSettings(maximum=5)), id="maximum"),
        pytest.param(
            '[bans]\nexempt = ["192.0.2.0/24", "office"]',
            Settings(
                bans=BanSettings(exempt=AddressSet((Network.parse("192.0.2.0/24"), Network.parse("192.168.1.0/24"))))
            ),
            id="exempt",
        ),
        pytest.param("[bans]\nexempt_own = false", Settings(bans=BanSettings(exempt_own=False)), id="exempt_own"),
        pytest.param("[bans]\ndry_run = true", Settings(bans=BanSettings(dry_run=True)), id="dry_run"),
        pytest.param(
            "[bans]\nmax_bans_per_minute = 9", Settings(bans=BanSettings(max_bans_per_minute=9)), id="per minute"
        ),
        pytest.param(
            "[bans.prefix]\nv4 = 24\nv6 = 56", Settings(bans=BanSettings(prefix_v4=24, prefix_v6=56)), id="prefix"
        ),
        pytest.param("bans.prefix = { v6 = 48 }", Settings(bans=BanSettings(prefix_v6=48)), id="inline"),
        pytest.param("[store]\nrequired = true", Settings(store=StoreSettings(required=True)), id="store"),
        pytest.param("[firewall]\nenabled = true", Settings(firewall=FirewallSettings(enabled=True)), id="firewall"),
        pytest.param(
            '[firewall]\nbackend = "nftables"\nverdict = "reject"\nports = "own"\ntable = "ours"\nat_stop = "keep"\n'
            "forwarded = true",
            Settings(
                firewall=FirewallSettings(
                    backend=FirewallBackend.NFTABLES, verdict=Refusing.REJECT, ports=Guarded.OWN, table="ours",
                    at_stop=AtStop.KEEP, forwarded=True,
                )
            ),
            id="nftables",
        ),
        pytest.param(
            '[firewall]\nenabled = true\nbackend = "command"\ncommand = ["/bin/refuse", "--all"]\nuser = "ann"',
            Settings(
                firewall=FirewallSettings(
                    enabled=True, backend=FirewallBackend.COMMAND, command=("/bin/refuse", "--all"),
                    credentials=Credentials(1000, 1000, (1000, 100)),
                )
            ),
            id="a command",
        ),
        pytest.param("[mdns]\nenabled = true", Settings(mdns=MdnsSettings(enabled=True)), id="mdns"),
    ],
)
def test_settings(text: str | None, settings: Settings) -> None:
    assert read(text) == (settings, [])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(
            "[bans]\nmaximun = 5",
            ["file: s.toml:2: bans.maximun: unknown key maximun; did you mean maximum? write"],
            id="unknown key",
        ),
        pytest.param(
            "\n[bnas]\n", ["file: s.toml:2: unknown table bnas; did you mean bans? write one of"], id="unknown table"
        ),
        pytest.param("bans = 5", ["file: s.toml:1: bans is no table; write [bans]"], id="no table"),
        pytest.param(
            "[store]\n[bans]\nmaximum = 0",
            ["file: s.toml:3: bans.maximum: 0 is not a whole number of 1"],
            id="too small",
        ),
        pytest.param(
            "[bans]\nmaximum = true", ["file: s.toml:2: bans.maximum: True is not a whole number"], id="no number"
        ),
        pytest.param(
            "[bans]\ndry_run = 'yes'", ["file: s.toml:2: bans.dry_run: 'yes' is neither true nor false"], id="no truth"
        ),
        pytest.param(
            "[bans]\nexempt = '::1'", ["file: s.toml:2: bans.exempt: '::1' is not a list of strings"], id="no list"
        ),
        pytest.param(
            '[bans]\nexempt = ["1.2.3.x"]', ["file: s.toml:2: bans.exempt: failed to parse 1.2.3.x"], id="no address"
        ),
        pytest.param(
            '[bans]\nexempt = ["192.0.2.1/24"]',
            ["line: s.toml:2: bans.exempt: 192.0.2.1/24 has host bits set"],
            id="host bits",
        ),
        pytest.param(
            "[bans]\nprefix = { v4 = 40 }",
            ["file: s.toml:2: bans.prefix: 40 is not a whole number of 8 to 32"],
            id="prefix",
        ),
        pytest.param(
            "[bans]\nprefix = { v5 = 40 }", ["file: s.toml:2: bans.prefix: {'v5': 40} does not say"], id="version 5"
        ),
        pytest.param(
            '[firewall]\nverdict = "rejct"',
            ["file: s.toml:2: firewall.verdict: 'rejct' is none of the choices; did you mean reject? write one of"],
            id="no choice",
        ),
        pytest.param(
            "[firewall]\nports = 80", ["file: s.toml:2: firewall.ports: 80 is none of the choices; write one of"],
            id="no choice, no text",
        ),
        pytest.param(
            '[firewall]\ntable = "a b"', ["file: s.toml:2: firewall.table: 'a b' is no name for a table"], id="no name"
        ),
        pytest.param(
            '[firewall]\ncommand = ["refuse"]', ["file: s.toml:2: firewall.command: ['refuse'] does not begin with"],
            id="a command to be looked for",
        ),
        pytest.param(
            '[firewall]\ncommand = ["/no"]', ["file: s.toml:2: firewall.command: /no cannot be executed: No such"],
            id="no program",
        ),
        pytest.param(
            '[firewall]\nenabled = true\nbackend = "command"',
            ['file: s.toml:3: firewall.backend: backend = "command" without a command; write command = ['],
            id="no command",
        ),
        pytest.param(
            '[firewall]\nuser = "bob"', ["file: s.toml:2: firewall.user: unknown user 'bob'; write"], id="no user"
        ),
        pytest.param("[bans]\nmaximum = = 5", ["file: s.toml:2: not TOML: "], id="not TOML"),
        pytest.param("[bans]\n\udcff", ["file: s.toml: not TOML: "], id="not text"),
        pytest.param(
            "[libwrap]\n[fleet]\n",
            [
                "line: s.toml:1: [libwrap] is understood but not in force",
                "line: s.toml:2: [fleet] is understood but not in force",
            ],
            id="tables of later",
        ),
    ],
)
def test_mistakes(text: str, told: list[str]) -> None:
    _, said = read(text)
    assert len(said) == len(told)
    assert all(one.startswith(start) for one, start in zip(said, told, strict=True))


def test_it_is_looked_for_beside_the_configuration() -> None:
    files = {
        "/etc/x/main.conf": b"",
        "/etc/x/sentinetd.toml": b"[bans]\nmaximum = 7\n",
        "/other": b"[bans]\nmaximum = 8\n",
    }
    assert load("/etc/x/main.conf", Machine(files)).settings.bans.maximum == 7
    assert load("/etc/x/main.conf", Machine(files), settings="/other").settings.bans.maximum == 8


def test_one_that_is_asked_for_must_exist() -> None:
    result = load("main.conf", Machine({"main.conf": b""}), settings="/gone.toml")
    assert not result.usable_after()
    assert str(result.diagnostics[0]).startswith("/gone.toml: open( /gone.toml ) failed: No such file or directory")


def test_others_should_not_read_it() -> None:
    result = load("main.conf", Machine({"main.conf": b"", "sentinetd.toml": b""}, readable=True))
    assert [str(one) for one in result.diagnostics] == [
        "sentinetd.toml: the file may hold secrets, and everyone can read it; chmod 600 sentinetd.toml"
    ]
    assert result.usable_after()


@pytest.mark.parametrize(
    ("number", "key", "line"),
    [
        pytest.param(0, "", 1, id="the first table"),
        pytest.param(0, "type", 2, id="its key"),
        pytest.param(0, "path", 1, id="a key that the first lacks"),
        pytest.param(1, "type", 6, id="a key of the second"),
        pytest.param(1, "path", 9, id="a key of a table inside the second"),
        pytest.param(2, "path", 12, id="a key of the third"),
        pytest.param(3, "path", 0, id="a table that is not there"),
    ],
)
def test_places_in_an_array_of_tables(number: int, key: str, line: int) -> None:
    text = (
        '[[alert]]\ntype = "a"\n\n[bans]\n[[ alert ]]\ntype = "b"\n\n[alert.tls]\npath = "b"\n\n'
        '[[alert]]\npath = "c"'
    )
    assert Written("s.toml", tuple(text.split("\n"))).place("alert", key, number) == Place("s.toml", line)


def test_how_long_history_is_kept() -> None:
    settings, told = read('[store]\nkeep_history = "7d"')
    assert (settings.store.keep_history, settings.courier.keep_history, told) == (604_800.0, 604_800.0, [])
    _, said = read("[store]\nkeep_history = 5")
    assert said[0].startswith("file: s.toml:2: store.keep_history: 5 is no span of 3600")
