"""Debian's xinetd reads the same configurations as we do, and its state dump says the same of them.

xinetd runs in namespaces of its own, with its own /run, so that nothing else notices it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sentinetd.config.dump import configuration
from sentinetd.config.host import Host
from sentinetd.config.load import load

XINETD = "/usr/sbin/xinetd"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C", "COLOUR": "red"}
DEADLINE = 10.0  # seconds

OURS_ALONE = ("CPS = ", "Instances = ", "Family = ", "Max load = ", "rlimit_", "banner")
"""Lines that xinetd's dump leaves out, always or where the value came from the defaults."""

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for namespaces"),
    pytest.mark.skipif(not os.path.exists(XINETD), reason="needs Debian's xinetd"),
]


@contextmanager
def xinetd(work: Path, conf: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A running xinetd, and where its state dump will be."""
    run = work / "run"
    run.mkdir()
    script = f'mount --bind {run} /run && ip link set lo up && exec env -u PWD {XINETD} -f {conf} -dontfork "$@"'
    command = ["unshare", "--mount", "--net", "sh", "-c", script, "sh", "-filelog", str(work / "log"), *options]
    process = subprocess.Popen(command, env=ENVIRONMENT)
    try:
        yield process, run / "xinetd.dump"
    finally:
        process.kill()
        process.wait()


def state_dump(work: Path, conf: Path, *options: str) -> str:
    with xinetd(work, conf, *options) as (process, dump):
        until = time.monotonic() + DEADLINE
        log = work / "log"
        while not (log.exists() and "Started working" in log.read_text(errors="replace")):
            assert process.poll() is None
            assert time.monotonic() < until
            os.sched_yield()
        process.send_signal(signal.SIGUSR1)
        while not (dump.exists() and "END OF DUMP" in dump.read_text(errors="replace")):
            assert time.monotonic() < until
            os.sched_yield()
        return dump.read_text(errors="replace")


def of_xinetd(dump: str) -> list[tuple[str, frozenset[str]]]:
    """(id, lines) of each service, in order."""
    found = []
    for block in dump.partition("Server table dump:")[0].split("\tService configuration: ")[1:]:
        lines = block.partition("\trunning servers")[0].split("\n")[1:]
        said = frozenset(_comparable(line[2:]) for line in lines if line.startswith("\t\t"))
        if "Environment additions:" not in said:  # shown where passenv is the service's own as well, which we do not
            said = frozenset(line for line in said if not line.startswith((">", "Environment")))
        found.append((next(line for line in said if line.startswith("id = "))[5:], said))
    return found


def _comparable(line: str) -> str:
    if line.startswith("Bind = ") and "All" not in line:
        return "Bind = one address"  # which xinetd shows as a name, if it finds one
    return " ".join(line.replace("\t", "> ").split())


def ours(conf: Path, inetd: str | None = None) -> list[tuple[str, frozenset[str]]]:
    services = load(str(conf), Host(ENVIRONMENT), inetd_conf=inetd).services
    return [(one.id, frozenset(map(_comparable, configuration(one)))) for one in services]


BASE = "socket_type = stream\nwait = no\nuser = nobody\nserver = /bin/cat\n"


def service(name: str, port: int, *lines: str, base: str = BASE) -> str:
    body = "\n".join(lines)
    return f"service {name}\n{{\nid = {name}\ntype = UNLISTED\nport = {port}\n{base}{body}\n}}\n"


DEFAULTS = """defaults
{
	instances = 25
	cps = 25 30
	per_source = 10
	umask = 022
	only_from = 192.168.1.0 10.0.0.0 172.16.0.0/12 fd00::/64
	no_access = 192.168.1.99
	log_type = FILE LOG 100000 200000
	log_on_success = HOST PID
	log_on_failure = HOST
	passenv = PATH LANG
}
"""

CASES = [
    pytest.param(service("a", 4000), id="plain"),
    pytest.param(DEFAULTS + service("a", 4000), id="defaults"),
    pytest.param(
        DEFAULTS
        + service("a", 4000, "only_from -= 10.0.0.0", "only_from += 192.0.2.1", "no_access =", "passenv += COLOUR")
        + service("b", 4001, "only_from = 198.51.100.7", "log_on_success -= PID", "log_on_success += EXIT DURATION"),
        id="operators",
    ),
    pytest.param(
        service(
            "a", 4000, "server_args = -n -v", "nice = 3", "umask = 077", "group = mail", "groups = yes", "env = A=1 B="
        )
        + service(
            "b", 4001, "flags = NAMEINARGS NODELAY KEEPALIVE IPv4 REUSE NORETRY NOLIBWRAP", "server_args = dog -n"
        ),
        id="servers",
    ),
    pytest.param(
        service("a", 4000, "access_times = 2:00-9:00 12:00-23:59", "log_type = SYSLOG local3 notice", "libwrap = foo")
        + service("b", 4001, "log_type = FILE LOG", "instances = 7", "per_source = UNLIMITED", "cps = 3 4"),
        id="times and logs",
    ),
    pytest.param(
        service("a", 4000, "bind = 127.0.0.1")
        + service("b", 4000, "bind = 127.0.0.2", "id = c")
        + service("d", 4000, "interface = 127.0.0.1"),
        id="bind and a duplicate",
    ),
    pytest.param(
        service("a", 4000, "flags = SENSOR", "deny_time = 60", base="socket_type = stream\nwait = no\n").replace(
            "UNLISTED", "INTERNAL UNLISTED"
        )
        + service("b", 4001, "flags = SENSOR", "deny_time = FOREVER", base="protocol = udp\nwait = yes\n").replace(
            "UNLISTED", "INTERNAL UNLISTED"
        ),
        id="sensors",
    ),
    pytest.param(
        service(
            "a",
            4000,
            "only_from = 192.168.{1,2} {10} 192.168 0.0.0.0 2001:db8::1 2001:db8::/32 ::/0 10.0.1.0 192.0.2.0/25",
        ),
        id="address words",
    ),
    pytest.param(
        service("a", 4000, "instances = many", "wait = yes")
        + service("b", 4001, "user = nobody", "nice = 5 # five", "only_form = 192.0.2.1")
        + service("c", 4002, "socket_type = dgram")
        + service("d", 4003, "nice=5")
        + service("e", 4004, "disable = yes", "nice=5")
        + service("f", 4005, "type = INTERNAL")
        + service("g", 4006, "instances += 4", "CPS = 1 2"),
        id="mistakes and what survives them",
    ),
    pytest.param(
        "defaults\n{\nenabled = a B c\ndisabled = c\n}\n"
        + "".join(service(name, 4000 + number) for number, name in enumerate("abcd")),
        id="enabled and disabled",
    ),
    pytest.param(
        "SERVICE a\n\n# c\n  {\n TYPE = unlisted\n Port = +04000\n"
        + BASE.upper().replace("/BIN/CAT", "/bin/cat").replace("NOBODY", "nobody")
        + "}\n",
        id="case and blanks",
    ),
    pytest.param(service("a", 4000, "# " + "x" * 8000, "server_args = " + "y " * 3000), id="long lines"),
]


@pytest.mark.parametrize("text", CASES)
def test_the_same_services(text: str, tmp_path: Path) -> None:
    conf = tmp_path / "main.conf"
    conf.write_text(text.replace("LOG", str(tmp_path / "services.log")))
    theirs = of_xinetd(state_dump(tmp_path, conf))
    mine = ours(conf)
    assert [name for name, _ in mine] == [name for name, _ in theirs]
    for (name, said), (_, says) in zip(mine, theirs, strict=True):
        assert (name, sorted(says - said)) == (name, [])
        assert (name, [line for line in sorted(said - says) if not line.startswith(OURS_ALONE)]) == (name, [])


def test_an_includedir_is_read_in_the_same_order(tmp_path: Path) -> None:
    below = tmp_path / "d"
    below.mkdir()
    for number, name in enumerate(("b", "_", "B", "a", "x.conf", "y~", "-z")):
        (below / name).write_text(service(f"s{number}", 4000 + number))
    conf = tmp_path / "main.conf"
    conf.write_text(f"includedir {below}\n")
    assert [name for name, _ in ours(conf)] == [name for name, _ in of_xinetd(state_dump(tmp_path, conf))]


def test_the_oracle_is_the_version_that_is_written_down() -> None:
    """Another one would prove nothing."""
    version = subprocess.run([XINETD, "-version"], capture_output=True, check=True).stderr
    assert version.startswith(b"2.3.15.3")
