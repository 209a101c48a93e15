"""More real servers: those whose entries are found on many hosts, driven as their own clients drive them."""

from __future__ import annotations

import os
import pwd
import select
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.client import Dialogue, converse
from rig.daemon import Daemon, Kind
from rig.deadline import wait_for
from rig.entries import SIX, service
from rig.network import Lab, command_in

pytestmark = pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.value)
Maker = Callable[..., Daemon]

A, B = "192.168.1.20", "192.168.1.21"


def script(daemon: Daemon, name: str, text: str) -> Path:
    """A shell script for a server."""
    path = daemon.work.write(name, "#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def test_cvs_pserver(kind: Kind, lab: Lab, make_daemon: Maker, tmp_path: Path) -> None:
    daemon = make_daemon(
        kind,
        service(
            "cvspserver",
            2401,
            "server = /usr/bin/cvs",
            "server_args = -f --allow-root=@WORK@/cvs pserver",
            "env = HOME=/nonexistent",
        ),
    )
    root = daemon.work.path / "cvs"
    subprocess.run(["cvs", "-d", str(root), "init"], check=True, capture_output=True)
    daemon.work.write("cvs/CVSROOT/passwd", "reader::nobody\n")  # no password; works as nobody
    new = tmp_path / "new"
    new.mkdir()
    (new / "read.me").write_text("line\n" * 10_000)
    words = ["cvs", "-d", str(root), "import", "-m", "first", "project", "vendor", "first"]
    subprocess.run(words, cwd=new, check=True, capture_output=True, env={**os.environ, "CVSUMASK": "022"})
    nobody = pwd.getpwnam("nobody")
    for directory in (root, *(path for path in root.rglob("*") if path.is_dir())):
        os.chown(directory, nobody.pw_uid, nobody.pw_gid)  # where a reader puts its locks
    daemon.start()
    (tmp_path / "out").mkdir()
    done = subprocess.run(
        lab.clients[20].command("cvs", "-d", f":pserver:reader:@{SIX}:2401{root}", "checkout", "project"),
        capture_output=True,
        timeout=30,
        check=False,
        cwd=tmp_path / "out",
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, (done.stderr, daemon.story())
    assert (tmp_path / "out" / "project" / "read.me").read_text() == "line\n" * 10_000


def test_telnetd(kind: Kind, lab: Lab, make_daemon: Maker) -> None:
    daemon = make_daemon(kind, service("telnet", 23, "server = /usr/sbin/telnetd", "flags = REUSE"))
    daemon.start()
    client = subprocess.Popen(
        lab.clients[20].command("telnet", SIX), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert client.stdin is not None
    assert client.stdout is not None
    screen = client.stdout.fileno()
    seen = b""
    try:
        for prompt, answer in ((b"login: ", b"nobody-of-that-name\n"), (b"Password: ", b"")):
            while prompt not in seen:
                ready = select.select([screen], [], [], 20.0)[0]
                part = os.read(screen, 4096) if ready else b""
                assert part, (prompt, seen, daemon.story())
                seen += part
            client.stdin.write(answer)
            client.stdin.flush()
    finally:
        client.kill()
        client.communicate()
    wait_for(lambda: any("EXIT: telnet" in line for line in daemon.service_log()), daemon.story)


PROFTPD = Path(__file__).parents[2] / ".cache/servers/proftpd-core/usr/sbin/proftpd"
"""Debian has one FTP server installed at a time; scripts/install-test-needs unpacks this one."""


def test_proftpd(kind: Kind, lab: Lab, make_daemon: Maker) -> None:
    assert PROFTPD.exists(), f"{PROFTPD} is missing: run scripts/install-test-needs"
    daemon = make_daemon(
        kind,
        service("ftp", 21, "server = @WORK@/proftpd", "server_args = -c @WORK@/proftpd.conf"),
    )
    shutil.copy(PROFTPD, daemon.work.path / "proftpd")
    content = b"line\n" * 100_000
    daemon.work.write("ftp/file", content)
    daemon.work.write(
        "proftpd.conf",
        "ServerName rig\nDefaultAddress 192.168.1.6\n"
        "ServerType inetd\nUser nobody\nGroup nogroup\nScoreboardFile none\nWtmpLog off\n"
        "SystemLog none\nUseReverseDNS off\nRequireValidShell off\nUseFtpUsers off\n"
        f"<Anonymous {daemon.work.path}/ftp>\nUser nobody\nGroup nogroup\nUserAlias anonymous nobody\n</Anonymous>\n",
    )
    daemon.start()
    for _ in range(2):
        done = command_in(lab.clients[20], ["lftp", "-c", f"set net:max-retries 1; open ftp://{SIX}; cat file"])
        assert done.returncode == 0, (done.stderr, daemon.story())
        assert done.stdout == content
    wait_for(lambda: sum("EXIT: ftp status=0" in line for line in daemon.service_log()) == 2, daemon.story)


def test_fingerd(kind: Kind, lab: Lab, make_daemon: Maker) -> None:
    daemon = make_daemon(
        kind, service("finger", 79, "user = nobody", "server = /usr/sbin/in.fingerd", "server_args = -w")
    )
    daemon.start()
    done = command_in(lab.clients[20], ["finger", f"root@{SIX}"])
    assert done.returncode == 0, (done, daemon.story())
    assert b"Login: root" in done.stdout, (done, daemon.story())


CHECK_MK = """\
service check_mk
{
	type           = UNLISTED
	port           = 6556
	bind           = 192.168.1.6
	socket_type    = stream
	protocol       = tcp
	wait           = no
	user           = root
	server         = @WORK@/check_mk_agent
	only_from      = 127.0.0.1 192.168.1.20 192.168.1.22
	per_source     = 3
	log_type       = FILE @WORK@/service.log
	log_on_success =
	log_on_failure = HOST
	disable        = no
}
"""
"""As monitored hosts have it: who may ask is listed, and that somebody asked is not logged."""

AGENT = """\
echo '<<<check_mk>>>'
echo 'Version: 1.2.8'
echo 'OnlyFrom: '
echo '<<<uptime>>>'
cat /proc/uptime
echo '<<<df>>>'
i=0
while [ $i -lt 2000 ]; do echo "/dev/sda$i ext4 1000 $i 50% /mnt/$i"; i=$((i + 1)); done
"""
LAST = "/dev/sda1999 ext4 1000 1999 50% /mnt/1999\n"


def test_check_mk_agent(kind: Kind, lab: Lab, make_daemon: Maker) -> None:
    daemon = make_daemon(kind, CHECK_MK)
    script(daemon, "check_mk_agent", f"if [ -e {daemon.work.path}/hold ]; then cat; fi\n" + AGENT)
    daemon.start()
    children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children")
    idle = children.read_text()

    def ended() -> bool:
        """Whether no server counts any more; its client has long gone when the daemon learns that it ended."""
        return children.read_text() == idle

    for _ in range(5):  # once a minute
        wait_for(ended, daemon.story)
        told = converse(lab, SIX, 6556, A)
        assert told.startswith("<<<check_mk>>>\nVersion: 1.2.8\n"), (told[:200], daemon.story())
        assert told.endswith(LAST), (told[-200:], daemon.story())
    assert converse(lab, SIX, 6556, B) == "closed", "only_from"
    daemon.work.write("hold", "")
    wait_for(ended, daemon.story)
    held = [Dialogue(lab, SIX, 6556, A) for _ in range(3)]
    for dialogue in held:
        dialogue.send(b"go\n")
        assert dialogue.receive(3) == b"go\n"
    assert converse(lab, SIX, 6556, A) == "closed", "the fourth of one source"
    assert converse(lab, SIX, 6556, "192.168.1.22").endswith(LAST), "the first of another"
    for dialogue in held:
        dialogue.finish()
        assert dialogue.rest().endswith(LAST.encode())
        dialogue.close()
    wait_for(lambda: len(daemon.service_log()) > 1, daemon.story)
    assert daemon.stop() == 0
    lines = [line.split(": ", 1)[1] for line in daemon.service_log()]
    assert lines == [f"FAIL: check_mk address from={B}", f"FAIL: check_mk per_source_limit from={A}"]


MYSQLCHK = """\
service mysqlchk
{
	disable         = no
	flags           = REUSE
	socket_type     = stream
	port            = 9200
	bind            = 192.168.1.6
	wait            = no
	user            = nobody
	server          = @WORK@/clustercheck
	log_type        = FILE @WORK@/service.log
	log_on_failure  += USERID
	only_from       = 192.168.1.20 192.168.1.22
	per_source      = UNLIMITED
}
"""
"""As nodes of a Galera cluster have it; its readers add ``mysqlchk 9200/tcp`` to services(5) themselves."""

CLUSTERCHECK = """\
if [ -e @WORK@/synced ]; then
	printf 'HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\nConnection: close\\r\\nContent-Length: 17\\r\\n\\r\\n'
	printf 'Node is synced.\\r\\n'
else
	printf 'HTTP/1.1 503 Service Unavailable\\r\\nContent-Type: text/plain\\r\\nConnection: close\\r\\n'
	printf 'Content-Length: 21\\r\\n\\r\\nNode is not synced.\\r\\n'
fi
sleep 0.1
"""
"""Its usual server never reads the request; it lingers so that the answer is read before the reset comes."""


def test_galera_health_check(kind: Kind, lab: Lab, make_daemon: Maker) -> None:
    daemon = make_daemon(kind, "defaults\n{\n\tlog_on_failure = HOST\n}\n" + MYSQLCHK)
    services = Path("/etc/services").read_text() + "mysqlchk 9200/tcp\n"
    (lab.host.etc / "services").write_text(services)
    script(daemon, "clustercheck", CLUSTERCHECK.replace("@WORK@", str(daemon.work.path)))
    daemon.start()
    words = ["curl", "--silent", "--max-time", "10", "--write-out", "%{http_code}", f"http://{SIX}:9200/"]
    done = command_in(lab.clients[20], words)
    assert (done.returncode, done.stdout) == (0, b"Node is not synced.\r\n503"), (done, daemon.story())
    daemon.work.write("synced", "").chmod(0o644)
    # The load balancer asks from everywhere at once, and nothing holds it back.
    askers = [
        subprocess.Popen(lab.clients[number].command(*words), stdout=subprocess.PIPE)
        for number in (20, 22)
        for _ in range(8)
    ]
    for asker in askers:
        assert asker.communicate(timeout=30)[0] == b"Node is synced.\r\n200", daemon.story()
    refused = command_in(lab.clients[21], words)
    assert refused.returncode in (52, 56), refused  # empty reply, or reset
    wait_for(lambda: any("FAIL: " in line for line in daemon.service_log()), daemon.story)
    failures = [line.split(": ", 1)[1] for line in daemon.service_log() if "FAIL: " in line]
    assert failures == [f"FAIL: mysqlchk address from={B}"], daemon.story()
