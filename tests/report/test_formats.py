"""What every kind of event looks like in every format: one row a case, the whole line."""

from __future__ import annotations

import errno
import json
import math
import re

import pytest
from hypothesis import example, given

from report.samples import OBSERVER, any_event
from sentinetd.model import events as ev
from sentinetd.model.address import Address, Network
from sentinetd.model.ban import Origin
from sentinetd.model.events import EVENTS, Event, Level
from sentinetd.model.service import OnFailure, OnSuccess
from sentinetd.model.verdict import Reason
from sentinetd.report.formats.json_line import json_line
from sentinetd.report.formats.text import critical, file_line, level, messages, stamp, text_line
from sentinetd.report.formats.xinetd import REASONS, service_line

AT = 1795422817.25  # 2026-11-23 08:33:37 UTC
A = Address.parse("192.168.1.20")
SIX = Address.parse("2001:db8::1")
NET = Network.parse("2001:db8::/64")

TEXTS = [
    (ev.DaemonStarted(AT, "0.1.0", "C spawner"), ["sentinetd 0.1.0 started with C spawner."]),
    (ev.DaemonWorking(AT, 1), ["Started working: 1 available service"]),
    (ev.DaemonWorking(AT, 2), ["Started working: 2 available services"]),
    (ev.DaemonStopping(AT, "SIGTERM"), ["Exiting..."]),
    (ev.DaemonStopping(AT, "no services"), ["no services. Exiting..."]),
    (
        ev.ProcessFailed(AT, "porter", "killed by signal 9", 0.5),
        ["process porter: killed by signal 9; trying again in 0.5 seconds"],
    ),
    (ev.ProcessMended(AT, "porter"), ["process porter: works again"]),
    (ev.FollowerFailed(AT, "store", "disk full", 60.0), ["store: disk full; trying again in 60 seconds"]),
    (ev.FollowerFailed(AT, "store", "too new", math.inf), ["store: too new"]),
    (ev.FollowerFailed(AT, "store", "too new", 0.0), ["store: too new"]),
    (ev.FollowerMended(AT, "store"), ["store: works again, all bans are kept"]),
    (
        ev.SinkFailed(AT, "siem", "192.0.2.200:6514: it hung up", 0.5),
        ["alert siem: 192.0.2.200:6514: it hung up; trying again in 0.5 seconds"],
    ),
    (ev.SinkMended(AT, "siem", 40), ["alert siem: works again, 40 events waiting"]),
    (
        ev.SinkDropped(AT, "siem", 7, "too many were waiting"),
        ["alert siem: 7 events were lost: too many were waiting"],
    ),
    (
        ev.EventsRepeated(AT, "connection.refused", Level.INFO, 9, 60.0, "ftp", A),
        ["connection.refused of ftp from 192.168.1.20: 9 more within 60 seconds"],
    ),
    (ev.EventsRepeated(AT, "reload.done", Level.NOTICE, 1, 5.5, "", None), ["reload.done: 1 more within 6 seconds"]),
    (ev.EventsLost(AT, 12), ["12 messages were lost; no bans"]),
    (ev.Heartbeat(AT, 60.0, 3, 2, 1), []),
    (ev.ResourceExhausted(AT, "file descriptors"), ["out of file descriptors"]),
    (ev.Notice(AT, Level.WARNING, "a thing"), ["a thing"]),
    (ev.FileRead(AT, "/etc/xinetd.d/ftp"), ["Reading included configuration file: /etc/xinetd.d/ftp"]),
    (ev.Diagnosed(AT, Level.ERROR, "main.conf:12: wait: no such value"), ["main.conf:12: wait: no such value"]),
    (ev.ReloadStarted(AT), ["Starting reconfiguration"]),
    (ev.ReloadRefused(AT, "main.conf:1: unreadable"), ["reconfiguration failed: main.conf:1: unreadable"]),
    (ev.ReloadRefused(AT, ""), ["reconfiguration failed"]),
    (ev.ReloadDone(AT, 1, 2, 3), ["Swapping defaults", "Reconfigured: new=1 old=2 dropped=3 (services)"]),
    (ev.ServiceAdjusted(AT, "ftp"), ["readjusting service ftp"]),
    (ev.ServiceDropped(AT, "ftp"), ["service ftp deactivated"]),
    (
        ev.ListenerFailed(AT, "ftp", "bind failed (Address already in use (errno = 98))", 5.0),
        ["bind failed (Address already in use (errno = 98)). service = ftp; trying again in 5 seconds"],
    ),
    (ev.ListenerMended(AT, "ftp"), ["service ftp: listening now"]),
    (
        ev.ServicePaused(AT, "ftp", "excessive incoming connections", 10),
        ["Deactivating service ftp due to excessive incoming connections.  Restarting in 10 seconds."],
    ),
    (ev.ServiceResumed(AT, "ftp"), ["Activating service ftp"]),
    (
        ev.ConnectionRefused(AT, 7, "ftp", A, 21, Reason.LOAD),
        ["refused connect from 192.168.1.20 due to excessive load"],
    ),
    (ev.ConnectionAdmitted(AT, 7, "ftp", A, 21), []),
    (ev.ConnectionRefused(AT, 7, "ftp", A, 21, Reason.ADDRESS), []),
    (ev.ServerStarted(AT, 7, "ftp", A, 21, 99), []),
    (ev.ServerEnded(AT, 7, "ftp", A, 99, 0, 0, 2.5), []),
    (ev.UserFound(AT, 7, "ftp", A, "UNIX : joe"), []),
    (ev.UserUnknown(AT, 7, "ftp", A, "no server"), []),
    (ev.TrafficCounted(AT, 7, "ftp", A, 12, 3456), []),
    (
        ev.ServerFailed(AT, "ftp", "execve", "/usr/sbin/none", errno.ENOENT, True),
        ["execv( /usr/sbin/none ) failed: No such file or directory (errno = 2)"],
    ),
    (
        ev.ServerFailed(AT, "ftp", "setuid", "", errno.EPERM, True),
        ["setuid failed: Operation not permitted (errno = 1)"],
    ),
    (
        ev.ServerFailed(AT, "ftp", "setgid", "", errno.EPERM, True),
        ["setgid failed: Operation not permitted (errno = 1)"],
    ),
    (
        ev.ServerFailed(AT, "ftp", "setgroups", "", errno.EPERM, True),
        ["setgroups( 0, NULL ) failed: Operation not permitted (errno = 1)"],
    ),
    (
        ev.ServerFailed(AT, "ftp", "setexeccon", "the client's context", errno.ENOPROTOOPT, True),
        ["Changing process context failed for ftp: the client's context: Protocol not available (errno = 92)"],
    ),
    (
        ev.ServerFailed(AT, "ftp", "nice", "", errno.EACCES, False),
        ["service ftp: nice failed: Permission denied (errno = 13)"],
    ),
    (
        ev.ForkFailed(AT, "ftp", errno.EAGAIN, 1, False),
        ["ftp: fork failed: Resource temporarily unavailable (errno = 11)"],
    ),
    (
        ev.ForkFailed(AT, "ftp", errno.EAGAIN, 5, True),
        [
            "ftp: fork failed: Resource temporarily unavailable (errno = 11)",
            "service ftp: too many consecutive fork failures",
        ],
    ),
    (
        ev.ForkFailed(AT, "ftp", errno.EAGAIN, 1, True),
        ["ftp: fork failed: Resource temporarily unavailable (errno = 11)"],
    ),
    (ev.ServerSignalled(AT, "ftp", 99, 15), ["Sending signal 15 to ftp server 99"]),
    (
        ev.DatagramUnread(AT, "tftp", A, 4000),
        ["service tftp: its server left the datagram of 192.168.1.20 unread; it was taken off"],
    ),
    (
        ev.DatagramUnread(AT, "tftp", None, 0),
        ["service tftp: its server left the datagram of <no address> unread; it was taken off"],
    ),
    (
        ev.SensorTripped(AT, 7, "irc-sensor", A, 4000, 3600.0, ""),
        ["Adding 192.168.1.20 to the global_no_access list for 60 minutes, sensor irc-sensor"],
    ),
    (
        ev.SensorTripped(AT, 7, "irc-sensor", SIX, 4000, math.inf, ""),
        ["Adding 2001:db8::1 to the global_no_access list for -1 minutes, sensor irc-sensor (until lifted)"],
    ),
    (
        ev.SensorTripped(AT, 7, "irc-sensor", A, 4000, 90.0, ""),
        ["Adding 192.168.1.20 to the global_no_access list for 2 minutes, sensor irc-sensor"],
    ),
    (
        ev.SensorTripped(AT, 7, "irc-sensor", A, 4000, 0.0, "deny_time = NEVER"),
        ["Sensor irc-sensor touched by 192.168.1.20, not banned: deny_time = NEVER"],
    ),
    (
        ev.SensorCaptured(AT, 7, "irc-sensor", A, 4000, r"NICK \x1b\r\n", False, 1.25),
        [r"Sensor irc-sensor held 192.168.1.20 for 1.2 seconds; it said NICK \x1b\r\n"],
    ),
    (
        ev.SensorCaptured(AT, 7, "irc-sensor", A, 4000, "NICK", True, 5.0),
        ["Sensor irc-sensor held 192.168.1.20 for 5.0 seconds; it said NICK ... (more was not kept)"],
    ),
    (
        ev.SensorCaptured(AT, 7, "irc-sensor", A, 4000, "", False, 5.0),
        ["Sensor irc-sensor held 192.168.1.20 for 5.0 seconds; it said nothing"],
    ),
    (ev.BanImposed(AT, NET, AT + 60, "irc", Origin.SENSOR), []),
    (
        ev.BanImposed(AT, NET, AT + 600, "", Origin.OPERATOR),
        ["Adding 2001:db8::/64 to the global_no_access list for 10 minutes, by the operator"],
    ),
    (
        ev.BanImposed(AT, NET, math.inf, "", Origin.FLEET),
        ["Adding 2001:db8::/64 to the global_no_access list for -1 minutes, from the fleet (until lifted)"],
    ),
    (
        ev.BanImposed(AT, NET, AT + 60, "", Origin.FEED),
        ["Adding 2001:db8::/64 to the global_no_access list for 1 minutes, from a feed"],
    ),
    (
        ev.BanLengthened(AT, NET, AT + 60, "", Origin.OPERATOR),
        ["Adding 2001:db8::/64 to the global_no_access list for 1 minutes, by the operator"],
    ),
    (
        ev.BanImposed(AT, NET, AT + 600, "", Origin.OPERATOR, "joe", "scans\nus"),
        ["Adding 2001:db8::/64 to the global_no_access list for 10 minutes, by the operator joe: scans\\x0aus"],
    ),
    (ev.BanLifted(AT, NET, "joe"), ["Removing 2001:db8::/64 from the global_no_access list: lifted by joe"]),
    (
        ev.BansDeclined(AT, NET, 3, Origin.FEED, "drop.txt", "it is exempt"),
        ["Not banned from a feed drop.txt: 2001:db8::/64 and 2 more: it is exempt"],
    ),
    (
        ev.BansDeclined(AT, NET, 1, Origin.FLEET, "web-1", "it is exempt"),
        ["Not banned from the fleet web-1: 2001:db8::/64: it is exempt"],
    ),
    (ev.BansCleared(AT, 12, "joe"), ["All 12 bans lifted by joe: global_no_access list is empty."]),
    (
        ev.ExemptionAdded(AT, NET, AT + 60, "joe", "scanner"),
        ["Exempting 2001:db8::/64 from all bans for 1 minutes, by the operator joe: scanner"],
    ),
    (
        ev.ExemptionAdded(AT, NET, math.inf, "", ""),
        ["Exempting 2001:db8::/64 from all bans until ended, by the operator"],
    ),
    (ev.ExemptionEnded(AT, NET, "joe"), ["Exemption of 2001:db8::/64 ended by joe"]),
    (ev.ExemptionEnded(AT, NET, ""), ["Exemption of 2001:db8::/64 has come to its end"]),
    (ev.BanLifted(AT, NET), ["Removing 2001:db8::/64 from the global_no_access list: lifted"]),
    (
        ev.BanEvicted(AT, NET),
        ["Maximum global_no_access count reached. Removing 2001:db8::/64, whose time would end soonest"],
    ),
    (ev.BanEnded(AT, NET), []),
    (ev.BansEnded(AT, 3, 5), ["At least 1 DENY_TIME has expired, global_no_access list updated"]),
    (
        ev.BansEnded(AT, 3, 0),
        ["At least 1 DENY_TIME has expired, global_no_access list updated", "global_no_access list is empty."],
    ),
    (ev.BansRestored(AT, 3), ["3 bans from before the start are in force again"]),
]


def ids(value: object) -> str | None:
    return value.kind if isinstance(value, Event) else ""


@pytest.mark.parametrize(("event", "lines"), TEXTS, ids=ids)
def test_text(event: Event, lines: list[str]) -> None:
    assert list(messages(event)) == lines
    assert text_line(event, OBSERVER) == ("; ".join(lines) or None)


def test_every_kind_has_a_golden_line() -> None:
    assert {type(event) for event, _ in TEXTS} == set(EVENTS)


LEVELS = [
    pytest.param(ev.SensorTripped(AT, 7, "irc", A, 1, 60.0, ""), Level.CRITICAL, id="of the kind"),
    pytest.param(ev.Notice(AT, Level.WARNING, "x"), Level.WARNING, id="of the notice"),
    pytest.param(ev.Diagnosed(AT, Level.DEBUG, "x"), Level.DEBUG, id="of the diagnostic"),
    pytest.param(ev.ConnectionRefused(AT, 7, "ftp", A, 1, Reason.LOAD), Level.ERROR, id="refused for load"),
    pytest.param(ev.ConnectionRefused(AT, 7, "ftp", A, 1, Reason.TIME), Level.INFO, id="refused for another reason"),
]


@pytest.mark.parametrize(("event", "grade"), LEVELS)
def test_level(event: Event, grade: Level) -> None:
    assert level(event) is grade
    assert json.loads(json_line(event, OBSERVER))["level"] == grade.value.lower()


def test_message_log_line_of_a_trip_is_the_articles(utc: None) -> None:
    event = ev.SensorTripped(AT, 7, "irc-sensor", A, 4000, 3600.0, "")
    (line,) = messages(event)
    assert file_line(AT, "sentinetd", 12877, level(event), critical(event, 12877, line)) == (
        "26/11/23@08:33:37 sentinetd[12877]: CRITICAL: 12877 {process_sensor} "
        "Adding 192.168.1.20 to the global_no_access list for 60 minutes, sensor irc-sensor"
    )


def test_other_critical_lines_name_their_speaker(utc: None) -> None:
    event = ev.ResourceExhausted(AT, "memory")
    assert critical(event, 5, "out of memory") == "5 {main} out of memory"


@pytest.mark.parametrize(
    ("second", "shown"),
    [
        pytest.param(1767225605, "26/1/1@00:00:05", id="no leading zeros in month and day"),
        pytest.param(946684800, "00/1/1@00:00:00", id="two digits of the year"),
        pytest.param(-5, "70/1/1@00:00:00", id="before the beginning"),
        pytest.param(1 << 62, "99/12/31@00:00:00", id="after the end"),
    ],
)
def test_stamp(second: int, shown: str, utc: None) -> None:
    assert stamp(second) == shown


SUCCESS = frozenset(OnSuccess)
FAILURE = frozenset(OnFailure)


def success(*options: OnSuccess) -> frozenset[OnSuccess]:
    return frozenset(options)


STARTED = ev.ServerStarted(AT, 7, "ftp", A, 4000, 12879)
INTERNAL = ev.ServerStarted(AT, 7, "echo", A, 4000, 0)
WAITING = ev.ServerStarted(AT, 7, "swat", None, 0, 12879)
ENDED = ev.ServerEnded(AT, 7, "ftp", A, 12879, 3, 0, 61.9)
TRAFFIC = ev.TrafficCounted(AT, 7, "ftp", A, 12, 3456)
KILLED = ev.ServerEnded(AT, 7, "ftp", A, 12879, -1, 15, 0.2)


@pytest.mark.parametrize(
    ("event", "options", "line"),
    [
        pytest.param(STARTED, success(), None, id="no option, no line"),
        pytest.param(STARTED, success(OnSuccess.EXIT), "START: ftp", id="any option switches START on"),
        pytest.param(STARTED, success(OnSuccess.USERID), "START: ftp", id="USERID only switches START on"),
        pytest.param(STARTED, success(OnSuccess.PID), "START: ftp pid=12879", id="PID"),
        pytest.param(STARTED, success(OnSuccess.HOST), "START: ftp from=192.168.1.20", id="HOST"),
        pytest.param(STARTED, SUCCESS, "START: ftp pid=12879 from=192.168.1.20", id="order of fields"),
        pytest.param(INTERNAL, SUCCESS, "START: echo pid=0 from=192.168.1.20", id="no process of its own"),
        pytest.param(WAITING, SUCCESS, "START: swat pid=12879 from=<no address>", id="stream wait"),
        pytest.param(ENDED, success(OnSuccess.PID, OnSuccess.HOST), None, id="EXIT needs EXIT or DURATION"),
        pytest.param(ENDED, success(OnSuccess.EXIT), "EXIT: ftp status=3", id="status"),
        pytest.param(KILLED, success(OnSuccess.EXIT), "EXIT: ftp signal=15", id="signal"),
        pytest.param(ENDED, success(OnSuccess.DURATION), "EXIT: ftp duration=61(sec)", id="DURATION alone"),
        pytest.param(ENDED, SUCCESS, "EXIT: ftp status=3 pid=12879 duration=61(sec)", id="all of EXIT"),
        pytest.param(TRAFFIC, success(OnSuccess.EXIT), None, id="TRAFFIC needs TRAFFIC"),
        pytest.param(TRAFFIC, success(OnSuccess.TRAFFIC), "TRAFFIC: ftp in=12(bytes) out=3456(bytes)", id="TRAFFIC"),
        pytest.param(
            ev.UserFound(AT, 7, "ftp", A, "UNIX : joe\n"), SUCCESS, "USERID: ftp UNIX : joe\\x0a", id="USERID"
        ),
        pytest.param(ev.UserUnknown(AT, 7, "ftp", A, "timeout"), SUCCESS, "NOID: ftp 192.168.1.20 timeout", id="NOID"),
        pytest.param(ev.DaemonWorking(AT, 2), SUCCESS, None, id="not of a service"),
    ],
)
def test_service_line_of_success(event: Event, options: frozenset[OnSuccess], line: str | None) -> None:
    assert service_line(event, options, frozenset()) == line


TRIPPED = ev.SensorTripped(AT, 7, "irc", A, 4000, 3600.0, "")


@pytest.mark.parametrize(
    ("event", "options", "line"),
    [
        pytest.param(TRIPPED, frozenset(), None, id="no option, no line"),
        pytest.param(TRIPPED, frozenset({OnFailure.ATTEMPT}), "FAIL: irc address", id="without HOST"),
        pytest.param(TRIPPED, FAILURE, "FAIL: irc address from=192.168.1.20", id="a trip"),
        *(
            pytest.param(
                ev.ConnectionRefused(AT, 7, "ftp", A, 4000, reason), FAILURE, f"FAIL: ftp {word} from=192.168.1.20",
                id=reason.value,
            )
            for reason, word in {
                Reason.SENSOR: "address", Reason.BANNED: "address", Reason.ADDRESS: "address", Reason.NAME: "address",
                Reason.NAME_UNKNOWN: "address", Reason.CPS: "connections per second",
                Reason.CPS_SOURCE: "connections per second", Reason.LIBWRAP: "libwrap", Reason.IDENT: "ident",
                Reason.LOAD: "load",
                Reason.TIME: "time", Reason.INSTANCES: "service_limit", Reason.PER_SOURCE: "per_source_limit",
                Reason.PROCESS_LIMIT: "process_limit", Reason.WAITING_LIMIT: "waiting_limit", Reason.FORK: "fork",
                Reason.EXEC: "exec", Reason.SHUTDOWN: "shutdown",
            }.items()
        ),
        pytest.param(
            ev.ConnectionRefused(AT, 7, "swat", None, 0, Reason.LOAD), FAILURE, "FAIL: swat load from=<no address>",
            id="stream wait",
        ),
    ],
)  # fmt: skip
def test_service_line_of_failure(event: Event, options: frozenset[OnFailure], line: str | None) -> None:
    assert service_line(event, frozenset(), options) == line


def test_every_reason_to_refuse_has_a_word() -> None:
    assert set(Reason) - set(REASONS) <= {Reason.NO_OBJECTION, Reason.EXEMPT}


def test_service_line_is_cut_where_xinetd_cuts_it() -> None:
    line = service_line(ev.ServerStarted(AT, 7, "i" * 1500, A, 1, 1), SUCCESS, FAILURE)
    assert line == "START: " + "i" * 1017


CONTROL = re.compile(r"[^\x20-\x7e]")


@given(any_event())
@example(ev.Notice(AT, Level.INFO, "\x1b[2J\x7f\r\n\x9b\u2028"))
def test_no_line_can_be_forged(event: Event) -> None:
    lines = [*messages(event), json_line(event, OBSERVER), service_line(event, SUCCESS, FAILURE) or ""]
    assert [line for line in lines if CONTROL.search(line)] == []
