"""Lines of inetd.conf(5) as services."""

from __future__ import annotations

from typing import Any

import pytest

from config.machine import Machine, entry
from sentinetd.config.load import Loaded, load
from sentinetd.model.address import Network
from sentinetd.model.service import Credentials, Family, Flag, OnSuccess, SocketType, Type


def inetd(line: str, main: str = "") -> Loaded:
    files = {"main.conf": main.encode(), "/etc/inetd.conf": b"# comment\n\n" + line.encode() + b"\n"}
    return load("main.conf", Machine(files), inetd_conf="/etc/inetd.conf")


@pytest.mark.parametrize(
    ("line", "facts"),
    [
        pytest.param(
            "ftp\tstream tcp nowait ann /bin/cat in.ftpd -l",
            {
                "id": "ftp",
                "port": 21,
                "wait": False,
                "server": "/bin/cat",
                "argv": ("in.ftpd", "-l"),
                "credentials": Credentials(1000, 1000, (1000, 100)),
                "type": frozenset(),
                "flags": frozenset({Flag.REUSE, Flag.NOLIBWRAP, Flag.NAMEINARGS}),
            },
            id="external",
        ),
        pytest.param(
            "tftp dgram udp wait nobody /bin/cat cat", {"wait": True, "socket_type": SocketType.DGRAM}, id="dgram"
        ),
        pytest.param("ftp stream tcp nowait.400 nobody /bin/cat cat", {"wait": False}, id="a limit behind nowait"),
        pytest.param("ftp stream tcp nowait/5/10 nobody /bin/cat cat", {"wait": False}, id="limits of FreeBSD"),
        pytest.param("ftp stream tcp nowait ann.mail /bin/cat cat", {"user": "ann", "group": "mail"}, id="user.group"),
        pytest.param("ftp stream tcp nowait ann:mail /bin/cat cat", {"user": "ann", "group": "mail"}, id="user:group"),
        pytest.param("ftp stream tcp nowait a.b /bin/cat cat", {"user": "a.b", "group": ""}, id="a user with a dot"),
        pytest.param("ftp stream tcp nowait nobody /bin/cat", {"argv": ("cat",)}, id="no argv"),
        pytest.param("ftp stream tcp4 nowait nobody /bin/cat cat", {"family": Family.IPV4}, id="tcp4"),
        pytest.param(
            "echo stream tcp nowait root internal", {"id": "echo-stream", "type": {Type.INTERNAL}}, id="internal"
        ),
        pytest.param("time dgram udp wait root internal", {"id": "time-dgram"}, id="internal dgram"),
        pytest.param(
            "rstat/2-4 dgram rpc/udp wait nobody /bin/cat cat", {"rpc_version": (2, 4), "type": {Type.RPC}}, id="RPC"
        ),
    ],
)
def test_lines(line: str, facts: dict[str, Any]) -> None:
    result = inetd(line)
    assert [str(one) for one in result.diagnostics if one.level.value == "error"] == []
    (service,) = result.services
    assert {name: getattr(service, name) for name in facts} == facts


@pytest.mark.parametrize(
    ("line", "told"),
    [
        pytest.param("ftp", "No value specified for socket type", id="one word"),
        pytest.param("ftp stream", "No value specified for protocol", id="two words"),
        pytest.param("ftp stream tcp nowait nobody", "No value specified for server", id="five words"),
        pytest.param("ftp stream tcp later nobody /bin/cat", "Bad value for wait: later", id="wait"),
        pytest.param("ftp stream tcp nowait bob /bin/cat", "Unknown user: bob", id="user"),
        pytest.param("ftp strem tcp nowait nobody /bin/cat", "Bad socket type: strem", id="socket type"),
        pytest.param("ftp stream xtp nowait nobody /bin/cat", "Protocol xtp not in /etc/protocols", id="protocol"),
        pytest.param("2121 stream tcp nowait nobody /bin/cat", "Invalid service name: 2121", id="a port number"),
        pytest.param("::1:ftp stream tcp nowait nobody /bin/cat", "Invalid service name: ::1:ftp", id="an address"),
        pytest.param("ftp stream tcp nowait nobody /opt/x x", "Server /opt/x is not executable", id="server"),
    ],
)
def test_mistakes(line: str, told: str) -> None:
    result = inetd(line)
    assert not result.services
    assert result.usable_after()
    assert result.faulty
    assert any(told in str(one) and str(one).startswith("/etc/inetd.conf:3: ") for one in result.diagnostics)


def test_defaults_apply() -> None:
    main = "defaults\n{\nno_access = 192.0.2.1\nlog_on_success = PID\ndisabled = http\n}\n"
    line = "ftp stream tcp nowait nobody /bin/cat cat\nhttp stream tcp nowait nobody /bin/cat cat"
    (service,) = inetd(line, main).services
    assert service.no_access.networks == (Network.parse("192.0.2.1"),)
    assert service.log_on_success == {OnSuccess.PID}


def test_an_entry_of_our_own_wins() -> None:
    result = inetd("ftp stream tcp nowait nobody /bin/cat cat", entry("ftp", "id = own"))
    assert [service.id for service in result.services] == ["own"]


def test_what_cannot_be_read_is_told() -> None:
    result = load("main.conf", Machine({"main.conf": b"", "/etc/inetd.conf": None}), inetd_conf="/etc/inetd.conf")
    assert not result.usable_after()
    assert str(result.diagnostics[0]).startswith("/etc/inetd.conf: open( /etc/inetd.conf ) failed: Permission denied")
    assert "a NUL byte in the line" in str(inetd("ftp stream\0 tcp nowait nobody /bin/cat").diagnostics[0])


def test_no_file_is_no_mistake() -> None:
    assert not load("main.conf", Machine({"main.conf": b""}), inetd_conf="/etc/inetd.conf").diagnostics
