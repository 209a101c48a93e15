"""The article's own configuration, its servers real, its four addresses in a network namespace.

`article.conf` is the article's text; only the two `server` paths are replaced when a test starts it. The pop3 server is
popa3d: of Debian's it is the one that is made for inetd, needs neither a helper daemon nor a configuration file, and
reads an ordinary mailbox of an ordinary user.
"""

from __future__ import annotations

import ftplib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.client import converse
from rig.daemon import Daemon, Kind, Work
from rig.network import Lab

Maker = Callable[..., Daemon]

FIVE, SIX, SEVEN, EIGHT = (f"192.168.1.{last}" for last in (5, 6, 7, 8))
IRC, FTP, WWW, POP3 = 194, 21, 80, 110
ATTACKER, FRIEND, SCANNER = 20, 21, 22

ALICE = "alice:x:4711:4711::/nonexistent:/bin/sh\n"
# crypt(5) of "wonderland"
SHADOW = (
    "alice:$6$rigsalt$v5ApGaSc4PD6hB0roHS.px/8jzdST0MGSC.vjOpMuLIXjV3GFs7YFDUFjJ691nMDBB6irL.NewFgDG5rWD3Bc0"
    ":19000:0:99999:7:::\n"
)
MAIL = "From someone Mon Nov 23 08:00:00 2026\nFrom: someone@example.test\nSubject: hello\n\nHello, Alice.\n\n"

MAIL_CLIENT = """\
import poplib, sys
session = poplib.POP3(sys.argv[1], timeout=10)
session.user("alice")
session.pass_("wonderland")
print(session.retr(1)[1][-1].decode())
session.quit()
"""

pytestmark = pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.value)


@pytest.fixture
def article(kind: Kind, make_daemon: Maker) -> Daemon:
    """The article's configuration, running."""
    text = Path(__file__).with_name("article.conf").read_text()
    daemon = make_daemon(
        kind, text.replace("/usr/sbin/proftpd", "@WORK@/ftpd").replace("/usr/sbin/ipop3d", "/usr/sbin/popa3d")
    )
    furnish(daemon.work)
    daemon.start()
    return daemon


def furnish(work: Work) -> None:
    """Give the servers what they serve: a file for everybody, a mailbox for alice."""
    work.write("ftpd", f"#!/bin/sh\nexec /usr/sbin/vsftpd {work.path}/vsftpd.conf\n").chmod(0o755)
    work.write("ftp/welcome.txt", "welcome\n")
    (work.path / "empty").mkdir()
    work.write(
        "vsftpd.conf",
        "listen=NO\nlisten_ipv6=NO\nanonymous_enable=YES\nlocal_enable=NO\n"
        f"anon_root={work.path}/ftp\nsecure_chroot_dir={work.path}/empty\n",
    )
    for name, line in (("passwd", ALICE), ("shadow", SHADOW), ("group", "alice:x:4711:\n")):
        work.write(f"etc/{name}", Path("/etc", name).read_text() + line).chmod(0o644 if name != "shadow" else 0o640)
    os.chown(work.write("mail/alice", MAIL), 4711, 8)  # group mail


def ftp(lab: Lab, number: int, host: str) -> str:
    """What an ftp client of host .*number* gets from *host*: the welcome file's name, or ``refused``."""
    try:
        with lab.clients[number].entered(), ftplib.FTP(timeout=10) as session:
            session.connect(host)
            session.login()
            return " ".join(session.nlst())
    except (EOFError, ConnectionRefusedError, ConnectionResetError):
        return "refused"


def mail(lab: Lab, number: int) -> str:
    """What a mail client of host .*number* reads as alice at .6, or ``refused``."""
    words = lab.clients[number].command(sys.executable, "-c", MAIL_CLIENT, SIX)
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.strip() or "refused"


def scan(lab: Lab, how: str) -> str:
    """Scan the article's ports on its four addresses from host .22; which are open."""
    words = ["nmap", "-n", "-Pn", how, "-p", f"{FTP},{WWW},{POP3},{IRC}", "-oG", "-", FIVE, SIX, SEVEN, EIGHT]
    done = subprocess.run(lab.clients[SCANNER].command(*words), capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def adding(kind: Kind, address: str, sensor: str) -> str:
    """The line of the log that the article promises."""
    text = f"Adding {address} to the global_no_access list for 120 minutes"
    return text + (f", sensor {sensor}" if kind is Kind.SENTINETD else "")


def test_a_touch_of_a_sensor_bans(kind: Kind, lab: Lab, article: Daemon) -> None:
    assert ftp(lab, ATTACKER, SIX) == "welcome.txt"
    assert mail(lab, ATTACKER) == "Hello, Alice."

    assert converse(lab, SIX, IRC, f"192.168.1.{ATTACKER}") == "closed"

    line = article.await_message("Adding ")
    assert line.level == "CRITICAL"
    assert line.text.endswith(adding(kind, f"192.168.1.{ATTACKER}", "irc-1"))
    assert ftp(lab, ATTACKER, SIX) == "refused"
    assert ftp(lab, ATTACKER, SEVEN) == "refused"
    assert mail(lab, ATTACKER) == "refused"

    assert ftp(lab, FRIEND, SIX) == "welcome.txt"
    assert ftp(lab, FRIEND, SEVEN) == "welcome.txt"
    assert mail(lab, FRIEND) == "Hello, Alice."


@pytest.mark.parametrize(
    ("host", "port", "sensor"),
    [
        pytest.param(SIX, IRC, "irc-1", id="irc at .6"),
        pytest.param(SEVEN, IRC, "irc-2", id="irc at .7"),
        pytest.param(FIVE, FTP, "ftp-1", id="ftp at .5"),
        pytest.param(EIGHT, FTP, "ftp-2", id="ftp at .8"),
        pytest.param(FIVE, WWW, "www-1", id="www at .5"),
        pytest.param(EIGHT, WWW, "www-2", id="www at .8"),
    ],
)
def test_every_sensor_bans(kind: Kind, lab: Lab, article: Daemon, host: str, port: int, sensor: str) -> None:
    assert converse(lab, host, port, f"192.168.1.{ATTACKER}") == "closed"
    assert article.await_message("Adding ").text.endswith(adding(kind, f"192.168.1.{ATTACKER}", sensor))
    assert ftp(lab, ATTACKER, SIX) == "refused"


def test_a_session_goes_on_when_its_client_is_banned(kind: Kind, lab: Lab, article: Daemon) -> None:
    with lab.clients[ATTACKER].entered(), ftplib.FTP(SIX, timeout=10) as session:
        session.login()
        assert converse(lab, SIX, IRC, f"192.168.1.{ATTACKER}") == "closed"
        article.await_message("Adding ")
        assert session.nlst() == ["welcome.txt"]


def test_only_a_scan_that_connects_trips(kind: Kind, lab: Lab, article: Daemon) -> None:
    seen = scan(lab, "-sS")
    assert len(re.findall(rf"\b{IRC}/open/tcp", seen)) == 2, "the sensors look like irc to a stealth scan"
    assert len(re.findall(rf"\b{FTP}/open/tcp", seen)) == 4
    assert ftp(lab, SCANNER, SIX) == "welcome.txt", "half-open connections are never seen"
    assert not article.find("Adding ")

    scan(lab, "-sT")
    assert (
        f"Adding 192.168.1.{SCANNER} to the global_no_access list for 120 minutes"
        in article.await_message("Adding ").text
    )
    assert ftp(lab, SCANNER, SIX) == "refused"
    assert ftp(lab, FRIEND, SIX) == "welcome.txt"
