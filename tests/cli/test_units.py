"""Services as systemd units: what the golden files do not show."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from cli.conversion import converted, told
from config.machine import entry
from sentinetd.cli.convert.units import argument, variable

ANALYZE = "systemd-analyze"
RULES = {"/etc/hosts.deny": b"ALL: ALL\n"}


def lines(text: str, files: dict[str, bytes | None] | None = None) -> set[str]:
    """The lines of all units of the configuration *text*."""
    outcome = converted(text, "systemd", files)
    assert outcome.files, told(outcome)
    return {line for file in outcome.files for line in file.text.splitlines()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(entry("ftp", ""), "MaxConnections=4294967295", id="xinetd's instances are unlimited"),
        pytest.param(entry("ftp", "instances = 3"), "MaxConnections=3", id="instances"),
        pytest.param(entry("ftp", "bind = ::1"), "ListenStream=[::1]:21", id="an IPv6 address"),
        pytest.param(entry("ftp", "bind = one.example"), "ListenStream=192.0.2.1:21", id="a host name"),
        pytest.param(entry("ftp", "flags = IPv6"), "BindIPv6Only=both", id="IPv6 is both without v6only"),
        pytest.param(entry("ftp", "", user="root"), "ExecStart=-/bin/cat", id="root"),
        pytest.param(entry("ftp", "group = mail", user="root"), "User=root", id="root with a group"),
        pytest.param(entry("ftp", "only_from ="), "IPAddressDeny=any", id="nobody"),
        pytest.param(entry("ftp", "only_from = a.example"), "IPAddressDeny=any", id="only names: nobody"),
        pytest.param(entry("ftp", "", user="stranger"), "User=stranger", id="a user of another machine"),
        pytest.param(entry("ftp", "", server="/opt/none"), "ExecStart=-/opt/none", id="a program of another machine"),
        pytest.param(entry("ftp", "id = a%b@c"), "Description=a%%b@c, from FILE:1", id="an odd id"),
    ],
)
def test_lines(text: str, expected: str) -> None:
    assert expected in lines(text)


def test_hosts_access_is_judged_by_tcpd_where_it_has_rules() -> None:
    assert "ExecStart=-@/usr/sbin/tcpd /bin/cat -u" in lines(entry("ftp", "server_args = -u"), RULES)
    assert "ExecStart=-/bin/cat" in lines(entry("ftp", "flags = NOLIBWRAP"), RULES)
    assert "ExecStart=-/bin/cat" in lines(entry("ftp", ""), {"/etc/hosts.deny": b"# nothing\n"})
    assert "ExecStart=-@/usr/sbin/tcpd /bin/cat" in lines(entry("ftp", ""), {"/etc/hosts.allow": None})


def test_rules_for_another_name_cannot_be_kept() -> None:
    outcome = converted(entry("ftp", "libwrap = in.ftpd"), "systemd", RULES)
    assert not outcome.files
    assert told(outcome)[-1].startswith("error: FILE:7: libwrap: ftp is left out: tcpd knows a server by its own name")
    assert converted(entry("ftp", "libwrap = cat"), "systemd", RULES).whole


def test_names_are_told_apart() -> None:
    text = entry("ftp", "id = a/b; bind = 192.0.2.1") + entry("ftp", "id = a b; bind = 192.0.2.2").replace("a b", "a+b")
    names = [file.name for file in converted(text, "systemd").files]
    assert names == ["inetd-a-b.socket", "inetd-a-b@.service", "inetd-a-b-2.socket", "inetd-a-b-2@.service"]


@pytest.mark.parametrize(
    ("word", "written"),
    [
        pytest.param("plain", "plain", id="plain"),
        pytest.param("$x", "$$x", id="dollar"),
        pytest.param("%n", "%%n", id="percent"),
        pytest.param("a\\", "a\\\\", id="backslash"),
        pytest.param("\"'", "\\\"\\'", id="quotes"),
        pytest.param(";", "\\;", id="a semicolon alone"),
        pytest.param("a;b", "a;b", id="a semicolon within"),
        pytest.param("\x01\x7f", "\\x01\\x7f", id="control"),
        pytest.param(b"\xff".decode("utf-8", "surrogateescape"), "\\xff", id="no text"),
        pytest.param("größe", "größe", id="text"),
    ],
)
def test_arguments(word: str, written: str) -> None:
    assert argument(word) == written


def test_a_variable_keeps_its_dollars() -> None:
    assert variable("A=$x%") == "A=$x%%"


def test_systemd_understands_them(tmp_path: Path) -> None:
    if shutil.which(ANALYZE) is None:
        pytest.fail(f"this test lets {ANALYZE} read the units: `make test` installs it, or apt-get install systemd")
    text = (Path(__file__).parent / "golden" / "everything.xinetd").read_text()
    odd = entry("telnet", 'env = A=%h"; flags = IPv4; bind = 192.0.2.7; server_args = ARGS')
    odd = odd.replace("ARGS", "%x $y a\"b'c\\ ; \x01 größe ${Z} -")
    outcome = converted(text.partition("service telnet")[0] + odd, "systemd")
    for file in outcome.files:
        (tmp_path / file.name).write_text(file.text.replace("User=nobody", "User=daemon").replace("User=ann", "User=1"))
    sockets = sorted(str(file) for file in tmp_path.iterdir())
    assert len(sockets) >= 12
    done = subprocess.run([ANALYZE, "verify", "--man=no", *sockets], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
