"""Sensors that go on after a trip, in a whole daemon: nmap is taken in, what is said is told, floods starve nobody."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from rig.client import Dialogue, converse
from rig.daemon import Daemon, Kind
from rig.deadline import wait_for
from rig.entries import SIX, defaults, sensor, service
from rig.network import Lab, command_in
from sentinetd.model.values import Decoy
from sentinetd.policy.plays import MOST, MOST_OF_SOURCE

FIVE = "192.168.1.5"
CLIENT, OTHER = "192.168.1.20", "192.168.1.21"
Maker = Callable[..., Daemon]

KNOWN = {
    Decoy.FTP: "ftp vsftpd 3.0.3",
    Decoy.SSH: "ssh OpenSSH 9.2p1 Debian 2+deb12u3",
    Decoy.TELNET: "telnet Linux telnetd",
    Decoy.SMTP: "smtp Postfix smtpd",
    Decoy.POP3: "pop3 Dovecot pop3d",
    Decoy.IMAP: "imap Dovecot imapd",
    Decoy.HTTP: "http nginx 1.22.1",
    Decoy.REDIS: "redis Redis key-value store",
    Decoy.MYSQL: "mysql MySQL 8.0.36",
    Decoy.VNC: "vnc VNC",
    Decoy.RDP: "ms-wbt-server Microsoft Terminal Services",
}
"""What nmap says of each: service, product, version."""
SCRIPTS = {
    "ssh2-enum-algos": r"\|       chacha20-poly1305@openssh\.com\n",
    "smtp-commands": r"smtp-commands: \S+, PIPELINING, SIZE 10240000",
    "pop3-capabilities": r"pop3-capabilities: .*SASL\(PLAIN LOGIN\)",
    "imap-capabilities": r"imap-capabilities: .*IMAP4rev1",
    "http-title": r"http-title: Welcome to nginx!",
    "redis-info": r"\|   Version: 7\.0\.15\n",
    "mysql-info": r"Auth Plugin Name: caching_sha2_password",
    "vnc-info": r"VNC Authentication \(2\)",
    "rdp-enum-encryption": r"CredSSP \(NLA\): SUCCESS",
    "telnet-encryption": r"Telnet server does not support encryption",
}
"""Scripts of nmap's that talk with a service by its protocol, and what they find out."""
PORTS = {decoy: 7500 + place for place, decoy in enumerate(Decoy)}
"""Not their own ports: so nmap goes by what is said alone."""


@pytest.fixture
def daemon(make_daemon: Maker) -> Callable[[str], Daemon]:
    def start(config: str) -> Daemon:
        made = make_daemon(Kind.SENTINETD, config)
        made.start()
        return made

    return start


def test_nmap_takes_each_decoy_for_the_service_it_plays(lab: Lab, daemon: Callable[[str], Daemon]) -> None:
    running = daemon(
        "".join(
            sensor(decoy.value, PORTS[decoy], "deny_time = NEVER", f"decoy = {decoy.value}", "capture = 512")
            for decoy in Decoy
        )
    )
    ports = ",".join(map(str, PORTS.values()))
    words = (
        "nmap",
        "-Pn",
        "-n",
        "-sT",
        "-sV",
        "--script",
        ",".join(SCRIPTS),
        "-p",
        ports,
        "-oG",
        "-",
        "-oN",
        "/dev/stderr",
    )
    done = command_in(lab.clients[20], (*words, FIVE), within=120)
    found = {
        int(port): f"{name} {product}".strip()
        for port, name, product in re.findall(r"(\d+)/open/tcp//([^/]*)//([^/]*)/", done.stdout.decode())
    }
    for decoy, port in PORTS.items():
        assert found.get(port, "").startswith(KNOWN[decoy]), (decoy, found)
    story = done.stderr.decode()
    for script, line in SCRIPTS.items():
        assert re.search(line, story), (script, story)
    captured = [message.text for message in running.messages() if " held " in message.text]
    assert any(text.startswith("Sensor rdp held") and r"Cookie: mstshash=nmap\r\n" in text for text in captured)
    assert all("Adding" not in message.text for message in running.messages())


def test_ban_first_then_talk_and_only_once(lab: Lab, daemon: Callable[[str], Daemon]) -> None:
    running = daemon(
        defaults("banner_fail = /etc/issue")
        + sensor("pop3", 110, "decoy = pop3", "capture = 27 10")
        + service("hello", 7000, "server = /bin/echo", "server_args = hello")
    )
    assert converse(lab, SIX, 7000, CLIENT) == "hello\n"
    with Dialogue(lab, FIVE, 110, CLIENT) as dialogue:
        assert dialogue.receive(20) == b"+OK Dovecot ready.\r\n"
        running.await_message(f"Adding {CLIENT} to the global_no_access list for 60 minutes, sensor pop3")
        assert converse(lab, SIX, 7000, CLIENT) == "closed"
        dialogue.send(b"USER root\r\nPASS \xff\x1b[2J\\\r\nQUIT\r\n")
        assert dialogue.rest() == b"+OK\r\n-ERR [AUTH] Authentication failed.\r\n+OK Logging out\r\n"
    text = running.await_message(f"Sensor pop3 held {CLIENT} for ").text
    assert text.endswith(r" seconds; it said USER root\r\nPASS \xff\x1b[2J\\\r\nQUI ... (more was not kept)")
    assert converse(lab, FIVE, 110, CLIENT) == "closed"
    assert converse(lab, SIX, 7000, OTHER) == "hello\n"
    assert len(running.find(" held ")) == 1


def test_one_entry_many_ports(lab: Lab, daemon: Callable[[str], Daemon]) -> None:
    running = daemon(
        sensor("redis", None, "ports = 6379-6381 7379", "deny_time = NEVER", "decoy = redis", "capture = 20")
    )
    for port in (6379, 6381, 7379):
        assert converse(lab, FIVE, port, CLIENT, b"PING\r\nQUIT\r\n") == "+PONG\r\n+OK\r\n"
    wait_for(lambda: len(running.find(r" it said PING\r\nQUIT\r\n")) == 3, running.story, 20)


def test_a_banner_in_place_of_the_greeting(lab: Lab, daemon: Callable[[str], Daemon], make_daemon: Maker) -> None:
    made = make_daemon(Kind.SENTINETD, sensor("ssh", 22, "decoy = ssh", "banner = @WORK@/banner"))
    made.work.write("banner", "SSH-2.0-OpenSSH_7.4\r\n")
    made.start()
    assert converse(lab, FIVE, 22, CLIENT, b"nonsense\r\n") == (
        "SSH-2.0-OpenSSH_7.4\r\nInvalid SSH identification string.\r\n"
    )


def test_a_flood_into_a_tarpit_starves_nobody(lab: Lab, daemon: Callable[[str], Daemon]) -> None:
    running = daemon(
        sensor("ftp", 21, "deny_time = NEVER", "decoy = ftp", "tarpit = 3600")
        + sensor("irc", 6667, "deny_time = NEVER", "tarpit = 3600")
        + service("echo", 7, "type = INTERNAL UNLISTED", "instances = UNLIMITED", without=("server",))
        + service("hello", 7000, "server = /bin/echo", "server_args = hello")
    )
    held: list[Dialogue] = []
    try:
        for _ in range(MOST_OF_SOURCE + 4):
            held.append(Dialogue(lab, FIVE, 6667, CLIENT))
        wait_for(lambda: sum(one.silent() for one in held) == MOST_OF_SOURCE, "16 that are held, 4 that are not")
        with Dialogue(lab, FIVE, 21, OTHER) as slow:
            assert slow.receive(2) == b"22"
            assert converse(lab, SIX, 7, OTHER, b"still here") == "still here"
            assert converse(lab, SIX, 7000, CLIENT) == "hello\n"
            assert slow.receive(1) == b"0"
    finally:
        for one in held:
            one.close()
    assert len(running.find("Sensor irc touched by")) <= MOST
    assert running.stop() == 0
