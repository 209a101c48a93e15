"""The tables of services(5) and its kin, parsed from text; the real machine where there is no way round it."""

from __future__ import annotations

import os

import pytest

from config.machine import Machine
from sentinetd.config.host import Host
from sentinetd.model.address import Address
from sentinetd.model.values import Protocol


@pytest.mark.parametrize(
    ("name", "protocol", "port"),
    [
        ("ftp", "tcp", 21),
        ("ftp", "udp", None),
        ("www", "tcp", 80),
        ("FTP", "tcp", None),
        ("timserver", "udp", 37),
        ("bad", "tcp", None),
        ("#", "tcp", None),
    ],
)
def test_port(name: str, protocol: str, port: int | None) -> None:
    assert Machine().port(name, protocol) == port


@pytest.mark.parametrize(
    ("name", "found"),
    [("tcp", Protocol("tcp", 6)), ("TCP", Protocol("tcp", 6)), ("Tcp", None), ("6", None), ("xtp", None)],
)
def test_protocol(name: str, found: Protocol | None) -> None:
    assert Machine().protocol(name) == found


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("loopback", "127.0.0.0/8"),
        ("OFFICE", "192.168.1.0/24"),
        ("ten", "10.0.0.0/8"),
        ("link-local", "169.254.0.0/16"),
        ("nothing", "None"),
        ("absent", "None"),
    ],
)
def test_network(name: str, found: str) -> None:
    assert str(Machine().network(name)) == found


def test_rpc_number() -> None:
    assert Machine().rpc_number("rup") == 100001
    assert Machine().rpc_number("nosuch") is None


def test_a_missing_table_has_no_rows() -> None:
    machine = Machine({"/etc/services": None})
    assert machine.port("ftp", "tcp") is None


def test_this_machine() -> None:
    host = Host({"A": "1"})
    root = host.user("root")
    assert root
    assert (root.uid, host.user_of(0), host.group("root")) == (0, root, 0)
    assert host.user("no such user") is None
    assert host.group("no such group") is None
    assert host.user_of(4_294_967_290) is None
    assert 0 in host.groups("root", 0)
    assert host.not_executable("/bin/sh") == ""
    assert host.not_executable("/bin") == "it is a directory"
    assert host.not_executable("/etc/passwd") == "execute permission is missing"
    assert host.not_executable("/no/such") == "No such file or directory"
    assert host.addresses("127.0.0.1") == (Address.parse("127.0.0.1"),)
    assert host.addresses("no such host") == ()
    assert host.uid == os.geteuid()
    assert host.environment == {"A": "1"}


@pytest.mark.parametrize(
    ("files", "why"),
    [
        pytest.param({}, "SELinux is not enabled here", id="no SELinux"),
        pytest.param({"/proc/self/attr/current": b"unconfined\n"}, "SELinux is not enabled here", id="AppArmor"),
        pytest.param(
            {"/sys/fs/selinux/mls": b"0", "/proc/self/attr/current": b"u:r:t\0"},
            "the SELinux policy here has no ranges (MLS, MCS)",
            id="a policy without MLS",
        ),
        pytest.param(
            {"/sys/fs/selinux/mls": b"1", "/proc/self/attr/current": None},
            "the daemon's own SELinux context cannot be read (Permission denied)",
            id="no context",
        ),
        pytest.param({"/sys/fs/selinux/mls": b"1", "/proc/self/attr/current": b"u:r:t:s0\0"}, "", id="SELinux"),
    ],
)
def test_unlabeled(files: dict[str, bytes | None], why: str) -> None:
    assert Machine(files).unlabeled() == why
