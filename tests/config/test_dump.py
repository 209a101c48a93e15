"""The configuration lines of the state dump and the attribute part of the manual."""

from __future__ import annotations

from config.machine import entry, loaded
from sentinetd.config.dump import configuration
from sentinetd.config.manual import plain, roff
from sentinetd.config.table import attributes

DEFAULTS = """
defaults
{
	umask = 22
	per_source = 10
	only_from = 192.168.1.0 fd00::/64 .example.test
	no_access = 192.168.1.99 10.0.0.0/9
	log_type = FILE /var/log/servicelog 100000 200000
	log_on_success = PID HOST
	log_on_failure = HOST
	passenv = PATH
}
"""


def test_a_sensor() -> None:
    text = DEFAULTS + entry(
        "telnet",
        "type = UNLISTED INTERNAL; flags = IPv4 SENSOR; port = 23; "
        "bind = 192.168.1.5; deny_time = 60; id = telnet-sensor",
        user="root",
        server="",
    )
    assert configuration(loaded(text).services[0]) == (
        "id = telnet-sensor",
        "flags = SENSOR IPv4",
        "type = INTERNAL UNLISTED",
        "socket_type = stream",
        "Protocol (name,number) = (tcp,6)",
        "port = 23",
        "wait = no",
        "user = 0",
        "Groups = no",
        "umask = 22",
        "CPS = max conn:50 wait:10",
        "PER_SOURCE = 10",
        "Bind = 192.168.1.5",
        "Only from:  192.168.1.0(NUMERIC) fd00::/ffff:ffff:ffff:ffff::(NET) .example.test(HOST)",
        "No access:  192.168.1.99(NUMERIC) 10.0.0.0/255.128.0.0(NET)",
        "Deny Time: 60",
        "Logging to common log file",
        "Log_on_success flags = HOST PID",
        "Log_on_failure flags = HOST",
        "Passenv = PATH",
        "Family = IPv4",
    )


def test_a_server() -> None:
    text = entry(
        "slp",
        "type = UNLISTED; port = 7007; group = mail; nice = 3; server_args = 5 \x1b[2J; access_times = 0:00-23:59;"
        "log_type = SYSLOG local3 notice; env = A=1; passenv = LANG; libwrap = foo; only_from =; instances = 4;"
        "max_load = 2.5; rlimit_as = 1k; cps_source = 5 1; exempt = 10.0.0.0; umask = 027",
    )
    assert configuration(loaded(text).services[0]) == (
        "id = slp",
        "flags = IPv6",
        "type = UNLISTED",
        "socket_type = stream",
        "Protocol (name,number) = (tcp,6)",
        "port = 7007",
        "wait = no",
        "user = 65534",
        "group = 8",
        "Groups = no",
        "umask = 27",
        "Nice = 3",
        "Instances = 4",
        "CPS = max conn:50 wait:10",
        "PER_SOURCE = -1",
        "Bind = All addresses.",
        "Server = /bin/cat",
        "Server argv = cat 5 \\x1b[2J",
        "Libwrap = foo",
        "Access times = 00:00-23:59",
        "Only from: No sites",
        "No access: No blocked sites",
        "Logging to syslog. Facility = local3, level = notice",
        "Log_on_success flags =",
        "Log_on_failure flags =",
        "Passenv = LANG",
        "Environment additions:",
        "\tA=1",
        "Environment strings:",
        "\tLANG=C",
        "\tA=1",
        "Family = dual",
        "Max load = 2.5",
        "rlimit_as = 1024",
        "cps_source = 5 1",
        "exempt:  10.0.0.0(NUMERIC)",
    )


def test_what_xinetd_does_not_have() -> None:
    text = entry(
        "irc",
        "flags = SENSOR IPv4; deny_time = FOREVER; deny_dgram = yes; deny_prefix = 24 56; "
        "capture = 100 2.5; decoy = ssh;"
        "tarpit = 3; proxy_protocol = 10.0.0.0/8; ports = 1-5,9; "
        "type = UNLISTED; banner = /x; log_type = FILE /y 1k 2k;"
        "only_from = ::/0 192.0.2.0/26; rlimit_cpu = UNLIMITED",
        server="",
    )
    lines = configuration(loaded(text).services[0])
    assert lines[lines.index("Deny Time: -1") :] == (
        "Deny Time: -1",
        "Logging to file: /y (soft=1024 hard=2048)",
        "Log_on_success flags =",
        "Log_on_failure flags =",
        "Family = IPv4",
        "rlimit_cpu = UNLIMITED",
        "banner = /x",
        "proxy_protocol:  10.0.0.0(NUMERIC)",
        "deny_dgram = yes",
        "deny_prefix = 24 56",
        "capture = 100 2.5",
        "decoy = ssh",
        "tarpit = 3",
        "ports = 1-5,9",
    )
    out = "25 10.0.0.1:1-2 [2001:db8::/64]:9"
    caught = entry("trap", f"flags = SENSOR; ports = unused; ports_except = {out}", server="")
    caught += entry("far", "flags = SENSOR; ports = ftp; addresses = 192.0.2.0/24 2001:db8::1", server="")
    trap, far = (configuration(one) for one in loaded(caught).services)
    assert trap[-2:] == ("ports = unused", "ports_except = 25,10.0.0.1:1-2,[2001:db8::/64]:9")
    assert far[-2:] == ("ports = 21", "addresses: 192.0.2.0/24 2001:db8::1")
    assert "Only from:  ::/::(NET) 192.0.2.0/255.255.255.192(NET)" in lines


def test_redirect_and_rpc() -> None:
    text = entry("ftp", "redirect = one.example 80; log_type = FILE /y", server="")
    text += entry("rstat", "type = RPC; rpc_version = 2-4", socket_type="dgram", wait="yes")
    ftp, rstat = (configuration(one) for one in loaded(text).services)
    assert "Redirect = one.example:80" in ftp
    assert "Logging to file: /y (no limits)" in ftp
    assert rstat[rstat.index("RPC data") :][:3] == ("RPC data", "\tprogram number = 100001", "\trpc_version = 2-4")


def test_the_manual_names_every_attribute() -> None:
    text, page = plain(), roff()
    for row in attributes():
        assert f"{row.name}" in text
        assert f"\\fB{row.name}\\fP" in page
        assert row.doc.split()[0] in text
    assert "xinetd does not know it." in text
    assert max(map(len, text.splitlines())) <= 100
    assert "Reserved for later versions: chroot memory_max sandbox tasks_max." in text
