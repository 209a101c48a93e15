"""Every unused port a sensor: real scanners, real servers beside it, and what the host itself begins."""

from __future__ import annotations

import ftplib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rig.client import converse
from rig.daemon import Daemon, Kind
from rig.deadline import wait_for
from rig.entries import SIX, sensor, service
from rig.network import Lab, Namespace, command_in, run

Maker = Callable[..., Daemon]

FIVE, SEVEN = "192.168.1.5", "192.168.1.7"
A, B, C, D = (f"192.168.1.{number}" for number in (20, 21, 22, 23))
SENSOR = ("type = UNLISTED INTERNAL", "flags = SENSOR", "deny_time = 60")
DAYTIME = service("daytime", None, "type = UNLISTED INTERNAL", "port = 7300", "cps = 0 10", without=("server", "bind"))
PATIENT = 60.0  # seconds: a scan of every port shares two processors with whatever else runs


def unused(*lines: str) -> str:
    """A sensor at every unused port."""
    given = [line for line in ("ports = unused", *SENSOR) if line.split()[0] not in {one.split()[0] for one in lines}]
    return service("unused", None, *given, *lines, without=("server", "user", "bind"))


@contextmanager
def program(namespace: Namespace, *words: str, port: int) -> Iterator[None]:
    """A server that is not ours, until it listens at *port* and as long as the block lasts."""
    with subprocess.Popen(namespace.command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(
                lambda: f":{port} " in run("ip", "netns", "exec", namespace.name, "ss", "-Hltn").stdout, " ".join(words)
            )
            yield
        finally:
            process.terminate()


def nginx(daemon: Daemon, where: str) -> list[str]:
    """The words that start a real nginx at *where*."""
    work = daemon.work.path
    daemon.work.write(
        "nginx.conf",
        f"daemon off;\nmaster_process off;\npid {work}/nginx.pid;\nerror_log /dev/null;\nevents {{}}\nhttp {{\n"
        f"access_log off;\nserver {{ listen {where}; return 200 'nginx'; }}\n}}\n",
    )
    return ["nginx", "-c", f"{work}/nginx.conf"]


def fetched(lab: Lab, host: str, port: int, source: str) -> str:
    return converse(lab, host, port, source, b"GET / HTTP/1.0\r\n\r\n", finish=False)


def scan(lab: Lab, number: int, *options: str) -> str:
    """What nmap prints when host .*number* scans .6."""
    words = ("nmap", "-n", "-Pn", "-T5", "--max-retries", "1", "--reason", *options, SIX)
    return command_in(lab.clients[number], words, PATIENT).stdout.decode()


@pytest.fixture
def direct(lab: Lab) -> Iterator[str]:
    """An address of the host that is reached by no bridge, from 10.99.0.21 and fd99::21."""
    host, client = lab.host, lab.clients[21]
    host.ip("link", "add", "d0", "type", "veth", "peer", "name", "d1", "netns", client.name)
    try:
        for namespace, link, last in ((host, "d0", 1), (client, "d1", 21)):
            namespace.ip("link", "set", link, "up")
            namespace.ip("addr", "add", f"10.99.0.{last}/24", "dev", link)
            namespace.ip("addr", "add", f"fd99::{last}/64", "dev", link, "nodad")
        yield "10.99.0.1"
    finally:
        host.ip("link", "del", "d0")


def test_a_touch_of_an_unused_port(lab: Lab, make_daemon: Maker) -> None:
    """It bans, and the log says which port it was; what listens is not affected, ours or not, whenever it began."""
    daemon = make_daemon(Kind.SENTINETD, unused() + DAYTIME)
    with program(lab.host, *nginx(daemon, "80"), port=80):
        daemon.start()
        assert "nginx" in fetched(lab, SIX, 80, A)
        assert len(converse(lab, SIX, 7300, A)) > 20
        assert converse(lab, SIX, 81, B) == "closed"
        told = f"Adding {B} to the global_no_access list for 60 minutes, sensor unused, port 81"
        assert daemon.await_message("Adding").text.endswith(told)
        assert converse(lab, SIX, 7300, B) == "closed"
        assert converse(lab, "fd00::6", 4321, "fd00::22") == "closed"
        assert daemon.await_message("fd00::22").text.endswith("sensor unused, port 4321")
        with program(lab.host, "python3", "-m", "http.server", "4321", port=4321):
            assert "200 OK" in fetched(lab, SIX, 4321, A)
        assert converse(lab, SIX, 113, A) == "refused"
        assert len(daemon.find("Adding")) == 2
    # A server that is started anew, or has crashed, must not have its customers banned.
    assert converse(lab, SIX, 80, A) == "refused"
    assert converse(lab, SIX, 79, A) == "closed"
    assert daemon.await_message(f"Adding {A}").text.endswith("port 79")


@pytest.mark.parametrize("cookies", [1, 2])
@pytest.mark.parametrize("source", ["10.99.0.21", "fd99::21"])
def test_without_a_bridge(lab: Lab, make_daemon: Maker, direct: str, source: str, cookies: int) -> None:
    """Nothing is tracked and nothing rewritten then; a sensor whose queue is flooded, so that each SYN is answered by a
    cookie (2), is not blind; and what the host asks for itself is none of the sensor's business."""
    host = direct if "." in source else "fd99::1"
    daemon = make_daemon(Kind.SENTINETD, unused("deny_time = NEVER", "ports_except = 25") + DAYTIME)
    sysctl = lab.host.command("sysctl", "-qw")
    with program(lab.host, *nginx(daemon, f"{host if '.' in host else f'[{host}]'}:80"), port=80):
        daemon.start()
        try:
            run(*sysctl, f"net.ipv4.tcp_syncookies={cookies}")
            assert converse(lab, host, 81, source) == "closed"
            assert f"Sensor unused, port 81 touched by {source}, not banned" in daemon.await_message("touched").text
            assert "nginx" in fetched(lab, host, 80, source)
            assert len(converse(lab, host, 7300, source)) > 20
            assert converse(lab, host, 25, source) == "refused"
            assert converse(lab, host, 9, host) == "refused"
            with socket_of(lab.clients[21], source, 4444):
                assert converse(lab, source, 4444, host) == "hello"
            assert len(daemon.find("touched")) == 1
        finally:
            run(*sysctl, "net.ipv4.tcp_syncookies=1")


@contextmanager
def socket_of(namespace: Namespace, address: str, port: int) -> Iterator[None]:
    """A server in *namespace* that says hello."""
    say = f"import socket; s = socket.create_server(('{address}', {port}), family={int(family(address))})\n"
    say += "while True:\n c = s.accept()[0]; c.sendall(b'hello'); c.close()\n"
    with program(namespace, "python3", "-c", say, port=port):
        yield


def family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def test_the_kernel_keeps_out_whom_it_bans(lab: Lab, make_daemon: Maker) -> None:
    """One touch of any unused port, and no server of the host can be reached any more, whoever started it."""
    daemon = make_daemon(Kind.SENTINETD, unused() + DAYTIME)
    daemon.work.write("sentinetd.toml", '[firewall]\nenabled = true\nverdict = "reject"\n').chmod(0o600)
    with program(lab.host, *nginx(daemon, "80"), port=80):
        daemon.start()
        assert "nginx" in fetched(lab, SIX, 80, B)
        assert converse(lab, SIX, 81, B) == "closed"
        daemon.await_message("Adding")
        assert [converse(lab, SIX, port, B) for port in (80, 81, 7300)] == ["refused"] * 3
        assert "nginx" in fetched(lab, SIX, 80, A)
    daemon.stop()
    assert "sentinetd" not in own(lab)


def sshd(daemon: Daemon) -> list[str]:
    """The words that start a real sshd at port 22 of every address."""
    key = daemon.work.path / "key"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    Path("/run/sshd").mkdir(exist_ok=True)  # where it separates itself from its rights
    return ["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-h", str(key), "-o", "PidFile=none"]


def ended(process: subprocess.Popen[bytes], within: float = 0.3) -> bool:
    """Whether *process* ends soon."""
    try:
        process.wait(within)
    except subprocess.TimeoutExpired:
        return False
    return True


@pytest.mark.timeout(300)  # seconds; ten, where nothing else runs
def test_a_scan_of_every_port(lab: Lab, make_daemon: Maker) -> None:
    """Who scans is banned at the first touch and told once; meanwhile everybody else is served by every server."""
    daemon = make_daemon(Kind.SENTINETD, unused() + DAYTIME)
    with program(lab.host, *nginx(daemon, "80"), port=80), program(lab.host, *sshd(daemon), port=22):
        daemon.start()
        words = lab.clients[22].command("nmap", "-n", "-Pn", "-T5", "-sT", "-p-", "--max-retries", "1", "-oG", "-", SIX)
        served, printed, begun = 0, daemon.work.path / "scan", time.monotonic()
        with printed.open("w") as output, subprocess.Popen(words, stdout=output) as scanner:
            while not ended(scanner):
                assert "nginx" in fetched(lab, SIX, 80, A)
                assert len(converse(lab, SIX, 7300, A)) > 20
                assert converse(lab, SIX, 22, A).startswith("SSH-2.0-")
                served += 1
        assert served > 1
        assert printed.read_text().count("/open/") > 10_000  # on a busy machine nmap gives many up
        told = daemon.find("Adding")
        assert 1 <= len(told) <= 1 + (time.monotonic() - begun) // 60  # once a minute, however long it takes here
        assert all(f"Adding {C} to" in one.text for one in told)
        assert converse(lab, SIX, 7300, C) == "closed"


def test_a_scan_by_an_exempt_source(lab: Lab, make_daemon: Maker) -> None:
    """It is told once, and bans nobody."""
    daemon = make_daemon(Kind.SENTINETD, unused(f"exempt = {C}") + DAYTIME)
    daemon.start()
    begun = time.monotonic()
    scan(lab, 22, "-sT", "-p", "1-1000")
    told = daemon.find(f"touched by {C}")
    assert 1 <= len(told) <= 1 + (time.monotonic() - begun) // 60
    assert all(one.text.endswith("not banned: exempt") for one in told)
    assert len(converse(lab, SIX, 7300, C)) > 20


def test_a_half_open_scan_trips_nothing(lab: Lab, make_daemon: Maker) -> None:
    """It never finishes a handshake, and its sender can be forged."""
    daemon = make_daemon(Kind.SENTINETD, unused() + DAYTIME)
    daemon.start()
    printed = scan(lab, 22, "-sS", "-p", "1-1000")
    assert "syn-ack" in printed
    assert len(converse(lab, SIX, 7300, C)) > 20
    assert not daemon.find(C)


def test_passive_ftp(lab: Lab, make_daemon: Maker) -> None:
    """A server that opens a port for each transfer is used by its clients as if there were no sensor."""
    daemon = make_daemon(Kind.SENTINETD, unused())
    work = daemon.work
    work.write("ftp/welcome.txt", "welcome\n")
    (work.path / "empty").mkdir()
    options = f"anonymous_enable=YES\nlocal_enable=NO\nanon_root={work.path}/ftp\nsecure_chroot_dir={work.path}/empty\n"
    work.write("vsftpd.conf", f"listen=YES\nlisten_ipv6=NO\nbackground=NO\n{options}")
    daemon.start()
    with program(lab.host, "vsftpd", f"{work.path}/vsftpd.conf", port=21):
        for _ in range(5):
            with lab.clients[20].entered(), ftplib.FTP(timeout=10) as session:
                session.connect(SIX)
                session.login()
                assert session.nlst() == ["welcome.txt"]
    assert not daemon.find(A)


PUBLISHED = f"""\
table ip published {{
    chain in {{ type nat hook prerouting priority dstnat; tcp dport 8080 dnat to {C}:4444; }}
    chain out {{ type nat hook postrouting priority srcnat; oifname br0 masquerade; }}
}}
"""


def test_what_is_published_for_others(lab: Lab, make_daemon: Maker) -> None:
    """A port that the firewall leads to another host, as for a container, is used, though no program here has it."""
    daemon = make_daemon(Kind.SENTINETD, unused())
    host = lab.host
    try:
        run("ip", "netns", "exec", host.name, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        subprocess.run(host.command("nft", "-f", "-"), input=PUBLISHED, text=True, check=True)
        daemon.start()
        with socket_of(lab.clients[22], C, 4444):
            assert converse(lab, SIX, 8080, A) == "hello"
            assert converse(lab, SIX, 8081, B) == "closed"
        assert not daemon.find(A)
        assert daemon.await_message(f"Adding {B}")
    finally:
        run("ip", "netns", "exec", host.name, "nft", "delete", "table", "ip", "published")
        run("ip", "netns", "exec", host.name, "sysctl", "-qw", "net.ipv4.ip_forward=0")


def own(lab: Lab) -> str:
    """What of the host's nftables and local routes an operator sees."""
    tables = run("ip", "netns", "exec", lab.host.name, "nft", "list", "ruleset").stdout
    routes = [run("ip", "-n", lab.host.name, which, "route", "show", "table", "local").stdout for which in ("-4", "-6")]
    return tables + "\n".join(line for text in routes for line in text.splitlines() if " fe80:" not in line)


@pytest.fixture
def routed(lab: Lab) -> Iterator[None]:
    """Networks that nobody has are routed to the host."""
    lab.clients[22].ip("route", "add", "198.51.100.0/24", "via", SIX)
    lab.clients[22].ip("route", "add", "2001:db8:7::/48", "via", "fd00::6")
    yield
    lab.clients[22].ip("route", "del", "198.51.100.0/24")
    lab.clients[22].ip("route", "del", "2001:db8:7::/48")


@pytest.mark.usefixtures("routed")
def test_networks_that_nobody_has(lab: Lab, make_daemon: Maker) -> None:
    """Whoever asks for any address of them is caught, also where a program listens on all addresses; and nothing is
    left when the sensor ends, however it ends."""
    before = own(lab)
    text = unused(
        "addresses = 198.51.100.0/25 2001:db8:7::/48", "ports_except = 25 198.51.100.9:26", "deny_time = NEVER"
    )
    daemon = make_daemon(Kind.SENTINETD, text + DAYTIME)
    daemon.start()
    for host, source in (("198.51.100.77", C), ("2001:db8:7:1::5", "fd00::22")):
        assert converse(lab, host, 7300, source) == "closed"
        told = f"Sensor unused, port 7300 touched by {source}, not banned"
        assert told in daemon.await_message(f"touched by {source}").text
    assert converse(lab, "198.51.100.7", 25, C) == "refused"
    assert converse(lab, "198.51.100.9", 26, C) == "refused"
    assert converse(lab, "198.51.100.8", 26, C) == "closed"
    assert len(converse(lab, SIX, 7300, C)) > 20
    assert converse(lab, SIX, 7301, C) == "refused"
    daemon.process.kill()
    daemon.exit_status()
    assert "sentinetd" not in own(lab)
    daemon.config.write_text(daemon.config.read_text().replace("198.51.100.0/25", "198.51.100.128/25"))
    daemon.start()
    assert converse(lab, "198.51.100.200", 7300, C) == "closed"
    assert "198.51.100.0/25" not in own(lab)
    daemon.reload(DAYTIME.replace("@WORK@", str(daemon.work.path)))
    assert own(lab) == before
    daemon.reload(text.replace("@WORK@", str(daemon.work.path)))
    assert own(lab) != before
    daemon.stop()
    assert own(lab) == before


def test_one_address(lab: Lab, make_daemon: Maker) -> None:
    """Only what comes for this one is looked at; a program on all addresses is told by its name, since it has its port
    here as well; a reload changes what is left out."""
    daemon = make_daemon(Kind.SENTINETD, unused(f"bind = {FIVE}", "deny_time = NEVER") + DAYTIME)
    with program(lab.host, *nginx(daemon, "80"), port=80):
        daemon.start()
        warned = daemon.await_message("listens on all addresses").text
        assert warned.startswith("nginx (process ")
        assert "so has port 80 where sensor unused should be" in warned
        assert "7300" not in warned
        assert "nginx" in fetched(lab, FIVE, 80, A)
        assert converse(lab, FIVE, 81, A) == "closed"
        assert daemon.await_message("touched").text.endswith("not banned: deny_time = NEVER")
        assert converse(lab, SIX, 81, A) == "refused"
        assert converse(lab, SIX, listener_of(daemon), B) == "closed"  # which is the sensor's, but not its business
        assert not daemon.find(B)
        daemon.reload(daemon.config.read_text().replace("ports = unused", "ports = unused\n\tports_except = 81"))
        assert converse(lab, FIVE, 81, A) == "refused"
        assert converse(lab, FIVE, 82, B) == "closed"
        assert daemon.await_message(f"touched by {B}")


def listener_of(daemon: Daemon) -> int:
    """The port to which the kernel brings what the daemon's sensor watches."""
    listed = run("ip", "netns", "exec", daemon.lab.host.name, "ss", "-Hltnp").stdout.splitlines()
    ports = [int(line.split()[3].rpartition(":")[2]) for line in listed if f"pid={daemon.pid}," in line]
    return max(port for port in ports if port != 7300)


def test_a_sensor_whose_port_another_program_has_everywhere(lab: Lab, make_daemon: Maker) -> None:
    """The article's own mistake: it is told who it is, and that it is on all addresses."""
    daemon = make_daemon(Kind.SENTINETD, sensor("www", 80) + DAYTIME)
    with program(lab.host, *nginx(daemon, "80"), port=80):
        daemon.start()
        told = daemon.await_message("is in use by").text
    assert "port 80/tcp at 192.168.1.5 is in use by nginx (process " in told
    assert "on all addresses" in told


def test_a_network_that_others_are_in_is_refused(lab: Lab, make_daemon: Maker) -> None:
    """The rest runs."""
    daemon = make_daemon(Kind.SENTINETD, unused("addresses = 192.168.0.0/16") + DAYTIME)
    daemon.start()
    assert "addresses = 192.168.0.0/16: this host's neighbours are there" in daemon.await_message("addresses").text
    assert len(converse(lab, SIX, 7300, A)) > 20
    assert converse(lab, SIX, 7301, A) == "refused"
    good = daemon.config.read_text().replace("192.168.0.0/16", "192.168.1.128/25")
    daemon.reload(good)
    assert "192.168.1.128/25" in own(lab)
    daemon.reload(good.replace("192.168.1.128/25", "192.168.1.0/24"))  # what ran goes on
    assert "192.168.1.128/25" in own(lab)


def test_without_the_right(lab: Lab, make_daemon: Maker) -> None:
    """The entry is refused and says what it takes; the rest runs."""
    daemon = make_daemon(Kind.SENTINETD, unused() + DAYTIME)
    words = daemon.command()
    place = words.index(daemon.kind.program)
    lacking = ["setpriv", "--inh-caps", "-net_admin", "--bounding-set", "-net_admin"]
    words[place:place] = lacking
    daemon.process = subprocess.Popen(words, cwd=daemon.work.path / "d", env=daemon.environment())
    daemon.await_message("Started working: 1 available service")
    told = daemon.await_message("unused ports cannot be watched").text
    assert "CAP_NET_ADMIN" in told
    assert "service = unused" in told
    assert len(converse(lab, SIX, 7300, A)) > 20
    assert converse(lab, SIX, 7301, A) == "refused"
