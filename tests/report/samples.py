"""Events to show: every kind at least once, and any at all. What the tests of this room share."""

from __future__ import annotations

import errno
import math
from dataclasses import fields
from typing import Any, get_type_hints

from hypothesis import strategies as st

from sentinetd.model import events as ev
from sentinetd.model.address import Address, Network
from sentinetd.model.ban import Origin
from sentinetd.model.events import EVENTS, Event, Level
from sentinetd.model.observer import Observer
from sentinetd.model.verdict import Reason

AT = 1795422817.25  # 2026-11-23 08:33:37 UTC
A = Address.parse("192.0.2.9")
SIX = Address.parse("2001:db8:1:2::5")
LOCAL = Address.parse("198.51.100.6")
HOST = Network.parse("192.0.2.9")
NET = Network.parse("2001:db8:1:2::/64")
OBSERVER = Observer(host="gw.example", ident="sentinetd", pid=12877, version="0.1.0")

TRIP = ev.SensorTripped(AT, 7, "irc-sensor", A, 40022, 7200.0, "", 31, "tcp", LOCAL, 6667)

SAMPLES: tuple[Event, ...] = (
    ev.DaemonStarted(AT, "0.1.0", "C spawner"),
    ev.DaemonWorking(AT, 2),
    ev.DaemonStopping(AT, "SIGTERM"),
    ev.ProcessFailed(AT, "porter", "killed by SIGKILL", 0.5),
    ev.ProcessMended(AT, "porter"),
    ev.FollowerFailed(AT, "store", "disk full", 60.0),
    ev.FollowerFailed(AT, "store", "too new", math.inf),
    ev.FollowerMended(AT, "store"),
    ev.SinkFailed(AT, "siem", "192.0.2.200:6514: connection refused", 0.5),
    ev.SinkMended(AT, "siem", 40),
    ev.SinkDropped(AT, "siem", 7, "too many were waiting"),
    ev.EventsRepeated(AT, "connection.refused", Level.INFO, 9, 60.0, "ftp", A),
    ev.EventsLost(AT, 12),
    ev.Heartbeat(AT, 86400.5, 12, 3, 1000),
    ev.ResourceExhausted(AT, "file descriptors"),
    ev.Notice(AT, Level.WARNING, "a thing that is so"),
    ev.FileRead(AT, "/etc/xinetd.d/ftp"),
    ev.Diagnosed(AT, Level.ERROR, "main.conf:12: wait: no such value"),
    ev.ReloadStarted(AT),
    ev.ReloadRefused(AT, "main.conf:1: unreadable"),
    ev.ReloadDone(AT, 1, 2, 3),
    ev.ServiceAdjusted(AT, "ftp"),
    ev.ServiceDropped(AT, "ftp"),
    ev.ListenerFailed(AT, "ftp", "bind failed (Address already in use (errno = 98))", 5.0),
    ev.ListenerMended(AT, "ftp"),
    ev.ServicePaused(AT, "ftp", "excessive incoming connections", 10),
    ev.ServiceResumed(AT, "ftp"),
    ev.ConnectionAdmitted(AT, 7, "ftp", A, 40022, 30, "tcp", 21),
    ev.ConnectionRefused(AT, 7, "ftp", A, 40022, Reason.ADDRESS, 30, "tcp", 21),
    ev.ConnectionRefused(AT, 7, "swat", None, 0, Reason.LOAD, 30, "tcp", 901),
    ev.ConnectionRefused(AT, 7, "tftp", SIX, 40022, Reason.BANNED, 30, "udp", 69),
    ev.ServerStarted(AT, 7, "ftp", A, 40022, 99, 30, "tcp", 21),
    ev.ServerEnded(AT, 7, "ftp", A, 99, 3, 0, 2.5, 30),
    ev.ServerEnded(AT, 7, "web", SIX, 99, -1, 15, 2.5, 30, 120, 45000),
    ev.UserFound(AT, 7, "ftp", A, "UNIX : joe"),
    ev.UserUnknown(AT, 7, "ftp", A, "no server"),
    ev.TrafficCounted(AT, 7, "ftp", A, 12, 3456),
    ev.ServerFailed(AT, "ftp", "execve", "/usr/sbin/none", errno.ENOENT, True),
    ev.ForkFailed(AT, "ftp", errno.EAGAIN, 5, True),
    ev.ServerSignalled(AT, "ftp", 99, 15),
    ev.DatagramUnread(AT, "tftp", A, 4000),
    TRIP,
    ev.SensorCaptured(AT, 7, "irc-sensor", A, 40022, r"NICK a\r\n", True, 2.5, 31, "tcp", LOCAL, 6667),
    ev.SensorTripped(AT, 7, "telnet-sensor", SIX, 40023, math.inf, "", 32, "tcp", None, 23),
    ev.SensorTripped(AT, 8, "snmp-sensor", A, 40024, 0.0, "deny_time = NEVER", 33, "udp", LOCAL, 161),
    ev.SensorTripped(AT, 7, "irc-sensor", Address.parse("fe80::1%eth0"), 40022, 0.0, "exempt", 34, "tcp", LOCAL, 6667),
    ev.BanImposed(AT, HOST, AT + 7200, "irc-sensor", Origin.SENSOR),
    ev.BanImposed(AT, NET, math.inf, "", Origin.OPERATOR),
    ev.BanLengthened(AT, HOST, AT + 9000, "irc-sensor", Origin.SENSOR),
    ev.BanImposed(AT, NET, AT + 600, "", Origin.OPERATOR, "joe", "scans us"),
    ev.BanLifted(AT, NET),
    ev.BanLifted(AT, NET, "joe"),
    ev.BansDeclined(AT, NET, 3, Origin.FEED, "drop.txt", "it is exempt"),
    ev.BansCleared(AT, 12, "joe"),
    ev.ExemptionAdded(AT, NET, AT + 60, "joe", "scanner"),
    ev.ExemptionAdded(AT, NET, math.inf, "joe", ""),
    ev.ExemptionEnded(AT, NET, "joe"),
    ev.ExemptionEnded(AT, NET, ""),
    ev.BanEvicted(AT, HOST),
    ev.BanEnded(AT, HOST),
    ev.BansEnded(AT, 3, 5),
    ev.BansRestored(AT, 3),
)
"""One event of every kind, of some kinds more."""

ENDLESS = {"until", "ban_span", "retry_in"}
"""Fields that may be infinite."""

EVIL = st.text(st.characters(exclude_categories=()), max_size=40) | st.lists(
    st.sampled_from([
        "\n", "\r", "\x00", "\x1b[2J", "\x7f", "\x85", "\u2028", "\u202e", "\ufffe", "\ud800", "\udcff", "|", "=",
        "\\", '"', "'", "]", "[", "<", ">", "&", "]]>", "-->", "%s", "{0}", "\\n", "<165>1 ", "FAIL: x", "\U0001f600",
    ])
).map("".join)  # fmt: skip
"""Text as evil as it comes: controls, half surrogate pairs, and whatever some format uses to set its parts off."""


def any_event(kinds: tuple[type[Event], ...] = EVENTS) -> st.SearchStrategy[Event]:
    """Any event at all of *kinds*, its texts as evil as they come, its addresses with any scope."""
    addresses = st.builds(
        lambda value, scope: Address(6, value, f"fe80::{value:x}%{scope}", scope), st.integers(0, 65535), EVIL
    ) | st.ip_addresses().map(str).map(Address.parse)
    networks = st.builds(lambda value, scope: Network(6, value << 64, 64, scope), st.integers(0, 65535), EVIL) | (
        st.ip_addresses(v=4).map(str).map(Network.parse)
    )
    known: dict[Any, st.SearchStrategy[Any]] = {
        str: EVIL,
        bytes: st.binary(max_size=60),
        int: st.integers(0, 10_000),
        int | None: st.none() | st.integers(0, 10_000),
        float: st.floats(0, 1e15),
        bool: st.booleans(),
        Address: addresses,
        Address | None: st.none() | addresses,
        Network: networks,
        Level: st.sampled_from(Level),
        Origin: st.sampled_from(Origin),
        Reason: st.sampled_from(Reason),
    }

    def built(kind: type[Event]) -> st.SearchStrategy[Event]:
        hints = get_type_hints(kind)
        values = {one.name: known[hints[one.name]] for one in fields(kind)}
        endless = {name: values[name] | st.just(math.inf) for name in ENDLESS & values.keys()}
        return st.builds(kind, **values | endless)

    return st.sampled_from(kinds).flatmap(built)
