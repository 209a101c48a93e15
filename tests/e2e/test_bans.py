"""Bans by whole daemons: longer for those who come back, sessions ended, and who is never banned."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.client import Dialogue, converse
from rig.daemon import Daemon, Kind
from rig.deadline import wait_for
from rig.entries import SIX, sensor, service
from rig.network import Lab
from sentinetd.model.address import Network
from sentinetd.model.ban import Ban
from sentinetd.store.sqlite import Store

Maker = Callable[..., Daemon]

FIVE, A, B = "192.168.1.5", "192.168.1.20", "192.168.1.21"
DECOY = sensor("decoy", 7002)
WORD = service("real", 7001, "server_args = do=word=hi", "cps = 0 10")


@pytest.fixture
def make(make_daemon: Maker, probe: Path) -> Maker:
    """Makes a sentinetd with a sentinetd.toml."""

    def make(config: str, settings: str) -> Daemon:
        daemon = make_daemon(Kind.SENTINETD, config.replace("@PROBE@", str(probe)))
        daemon.work.write("sentinetd.toml", settings.encode())
        return daemon

    return make


def kept(daemon: Daemon) -> dict[str, tuple[float, int, str]]:
    """What the store keeps by network: the span of the ban, its offences, its note."""
    path = daemon.work.path / "state" / "bans.sqlite"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        rows = database.execute("SELECT value, until - since, offences, note FROM bans").fetchall()
    database.close()
    return {".".join(map(str, value)): (span, offences, note) for value, span, offences, note in rows}


def test_who_comes_back_is_banned_for_longer(lab: Lab, make: Maker) -> None:
    daemon = make(DECOY, '[bans]\nescalation = { factor = 3, ceiling = "7d", forget_after = "30d" }\n')
    state = daemon.work.path / "state"
    state.mkdir()
    store = Store(str(state))
    store.open()
    now = time.time()
    store.write([Ban(Network.parse(A), now - 9000, now - 5400, "decoy")])
    store.close()
    daemon.run("chown", "-R", "nobody", str(state))
    daemon.start()
    assert converse(lab, FIVE, 7002, A) == "closed"
    assert converse(lab, FIVE, 7002, B) == "closed"
    told = daemon.await_message("escalation")
    assert told.text == (
        f"Adding {A} to the global_no_access list for 180 minutes, sensor decoy, escalation: offence 2"
    )
    wait_for(lambda: kept(daemon).get(A, ("", 0, ""))[2], lambda: f"the longer ban: {kept(daemon)}", 20.0)
    span, offences, note = kept(daemon)[A]
    assert (round(span), offences, note) == (3 * 3600, 2, "offence 2")
    assert round(kept(daemon)[B][0]) == 3600
    assert daemon.stop() == 0
    daemon.start()
    daemon.await_message("2 bans from before the start are in force again")
    assert round(kept(daemon)[A][0]) == 3 * 3600


def test_the_sessions_of_who_gets_banned_end_where_that_is_wanted(lab: Lab, make: Maker) -> None:
    strict = service("strict", 7003, "server_args = do=cat", "end_sessions = yes")
    mild = service("mild", 7004, "server_args = do=cat")
    daemon = make(DECOY + strict + mild, "")
    daemon.start()
    with (
        Dialogue(lab, SIX, 7003, A) as ending,
        Dialogue(lab, SIX, 7004, A) as going,
        Dialogue(lab, SIX, 7003, B) as other,
    ):
        for one in (ending, going, other):
            one.send(b"x")
            assert one.receive(1) == b"x"
        assert converse(lab, FIVE, 7002, A) == "closed"
        assert ending.rest() == b""
        for one in (going, other):
            one.send(b"y")
            assert one.receive(1) == b"y"
            one.finish()


def test_exempt_host_names_are_known_before_the_first_accept(lab: Lab, make: Maker) -> None:
    daemon = make(DECOY + WORD, '[bans]\nexempt = ["scanner.example", "nobody.example"]\n')
    (daemon.work.path / "etc").mkdir(exist_ok=True)
    (daemon.work.path / "etc" / "hosts").write_text(f"127.0.0.1 localhost\n{A} scanner.example\n")
    daemon.start()
    assert converse(lab, FIVE, 7002, A) == "closed"
    daemon.await_message(f"Sensor decoy touched by {A}, not banned: exempt")
    assert converse(lab, SIX, 7001, A) == "hi\n"
    daemon.await_message("exempt host nobody.example: ")
    assert converse(lab, FIVE, 7002, B) == "closed"
    daemon.await_message(f"Adding {B} ")


def test_the_operator_who_starts_it_does_not_lock_himself_out(lab: Lab, make: Maker) -> None:
    daemon = make(DECOY + WORD, "")
    daemon.extra["SSH_CONNECTION"] = f"{A} 50000 {SIX} 22"
    daemon.start()
    daemon.await_message(f"{A} is exempt from all bans: an operator is logged in from there")
    assert converse(lab, FIVE, 7002, A) == "closed"
    assert converse(lab, SIX, 7001, A) == "hi\n"
