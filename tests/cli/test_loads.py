"""What is made of an inetd.conf is understood by Debian's xinetd, and by sentinetd, without an error, and serves."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from rig.client import converse
from rig.daemon import Daemon, Kind
from rig.network import Lab
from sentinetd.cli.convert.job import to_xinetd, whole_text
from sentinetd.cli.convert.source import Source
from sentinetd.config.host import Host

Maker = Callable[..., Daemon]

INETD = """\
ftp\tstream\ttcp\tnowait\troot\t/usr/sbin/tcpd\t/bin/cat -u
telnet stream tcp6 nowait daemon.mail /bin/cat cat
smtp stream tcp46 nowait/10/5/2 nobody:mail/daemon /bin/cat cat-other
192.168.1.6:pop3 stream tcp nowait.400 nobody /bin/echo echo six
192.168.1.7,fd00::6:pop3 stream tcp nowait:30 nobody /bin/echo
\techo seven
tftp dgram udp nowait nobody /bin/cat cat -u
echo stream tcp nowait root internal
echo dgram udp wait root internal
daytime dgram udp6 wait root internal
tcpmux stream tcp nowait root internal
tcpmux/+date stream tcp nowait nobody /bin/echo echo muxed
2121 stream tcp nowait root /bin/echo anything port
"""
SERVICES = 12


@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.value)
def test_without_an_error(kind: Kind, lab: Lab, make_daemon: Maker) -> None:
    source = Source("inetd.conf", INETD.encode())
    outcome = to_xinetd(source, Host(os.environ))
    assert outcome.whole
    assert len(outcome.files) == SERVICES + 1
    daemon = make_daemon(kind, whole_text(outcome, source, "xinetd"))
    daemon.start()
    assert [one.text for one in daemon.messages() if one.level not in ("INFO", "NOTICE")] == [
        one.text for one in daemon.find("there is no user sentinetd")
    ]
    daemon.await_message(f"Started working: {SERVICES} available services")
    assert converse(lab, "192.168.1.6", 110, "192.168.1.20") == "six\n"
    assert converse(lab, "192.168.1.7", 110, "192.168.1.20") == "seven\n"
    assert converse(lab, "fd00::6", 110, "fd00::20") == "seven\n"
    assert converse(lab, "192.168.1.5", 110, "192.168.1.20") == "refused"
    assert converse(lab, "192.168.1.6", 2121, "192.168.1.20") == "port\n"
    assert converse(lab, "192.168.1.6", 21, "192.168.1.20", b"hello\n") == "hello\n"
    assert converse(lab, "192.168.1.6", 25, "192.168.1.20", b"hello\n") == "hello\n"
    assert converse(lab, "192.168.1.6", 23, "192.168.1.20") == "refused"
    assert converse(lab, "fd00::6", 23, "fd00::20", b"hello\n") == "hello\n"
    assert converse(lab, "192.168.1.6", 1, "192.168.1.20", b"date\r\n").endswith("muxed\n")
