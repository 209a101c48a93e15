"""Configurations of the form in which packages and the sources of xinetd ship theirs, as shipped and switched on.

They are written in words of our own; the attributes, values, order and layout are theirs: openSUSE's package (which has
taken over the sources), the sources before, Debian's package, and the large sample that came with every release.
"""

from __future__ import annotations

from differential.stage import SIX

MAIN = """# Settings that hold for every service, unless its own file says otherwise.

defaults
{
# What is written down of each connection, and where
	log_type	= %s
	log_on_failure	= %s
	log_on_success	= %s

# Limits
#	max_load	= 0
	cps		= 50 10
	instances	= %d
	per_source	= 10

	v6only		= no
	groups		= yes
	umask		= 002
#	passenv		=
}

includedir @WORK@/xinetd.d

"""
NAMES = ("chargen", "daytime", "discard", "echo", "time")
PORTS = {"echo": 7, "discard": 9, "daytime": 13, "chargen": 19, "time": 37}
HOME = "127.0.0.1"
ENDS = " " * 79
"""Some of these files have blanks after the last brace."""


def _file(head: str, *lines: str, end: str = "") -> str:
    """A file with one entry: a remark, blanks and tabs as people write them, *lines*."""
    body = "".join(f"\t{line.split(' = ')[0]:<15}= {line.split(' = ')[1]}\n" for line in lines)
    return f"# default: off\n# description: {head}\n\nservice {head.split()[0]}\n{{\n{body}}}{end}\n"


def suse(switch: str) -> dict[str, str]:
    """openSUSE's twelve files; each has ``disable = SWITCH``."""
    found = {"xinetd.conf": MAIN % ("SYSLOG daemon info ", "HOST ATTEMPT", "HOST EXIT DURATION", 30)}
    for name in NAMES:
        stream = ("type = INTERNAL", f"id = {name}-stream", "socket_type = stream", "protocol = tcp")
        dgram = ("type = INTERNAL UNLISTED", f"id = {name}-dgram", "socket_type = dgram", "protocol = udp")
        both = ("user = root", f"disable = {switch}")
        found[f"xinetd.d/{name}"] = _file(f"{name} by TCP", *stream, "wait = no", *both, end=ENDS)
        found[f"xinetd.d/{name}-udp"] = _file(
            f"{name} by UDP", *dgram, "wait = yes", *both, f"port = {PORTS[name]}", end=ENDS
        )
    for name, port in (("servers", 9099), ("services", 9098)):
        found[f"xinetd.d/{name}"] = _file(
            f"{name} that run, for people at this host", "type = INTERNAL UNLISTED", f"port = {port}",
            "socket_type = stream", "protocol = tcp", "wait = no", f"disable = {switch}", f"only_from = {HOME}",
        )  # fmt: skip
    return found


def sources(switch: str) -> dict[str, str]:
    """The files of the sources: with neither protocol nor user; a sensor and the multiplexer among them."""
    found = {"xinetd.conf": MAIN % ("SYSLOG daemon info ", "HOST", "PID HOST DURATION EXIT", 50)}
    for kind, wait in (("stream", "no"), ("dgram", "yes")):
        for name in NAMES:
            found[f"xinetd.d/{name}-{kind}"] = _file(
                f"{name} ({kind})", f"disable = {switch}", f"id = {name}-{kind}", "type = INTERNAL", f"wait = {wait}",
                f"socket_type = {kind}",
            )  # fmt: skip
    for name, kind, more in (("ftp", "sensor", ("flags = SENSOR", "deny_time = 120")), ("tcpmux", "server", ())):
        found[f"xinetd.d/{name}-{kind}"] = _file(
            f"{name} {kind}", f"disable = {switch}", f"id = {name}-{kind}", "type = INTERNAL", "wait = no",
            "socket_type = stream", *more,
        )  # fmt: skip
    return found


def debian(switch: str) -> dict[str, str]:
    """Debian's: the entry of TCP and that of UDP together in one file, and nothing in defaults."""
    found = {"xinetd.conf": "# Some settings\n\ndefaults\n{\n\n\n}\n\nincludedir @WORK@/xinetd.d\n"}
    for name in NAMES:
        stream = (f"disable = {switch}", "type = INTERNAL", f"id = {name}-stream", "socket_type = stream")
        dgram = (f"disable = {switch}", "type = INTERNAL", f"id = {name}-dgram", "socket_type = dgram")
        found[f"xinetd.d/{name}"] = _file(
            f"{name} by TCP", *stream, "protocol = tcp", "user = root", "wait = no"
        ) + _file(f"{name} by UDP", *dgram, "protocol = udp", "user = root", "wait = yes")
    return found


def _server(name: str, *lines: str, kind: str = "stream", wait: str = "no", user: str = "root") -> str:
    given = {line.split(" ")[0] for line in lines}
    usual = [f"socket_type = {kind}", f"wait = {wait}", f"user = {user}"]
    if not given & {"server", "redirect", "type"}:
        usual.append(f"server = @SERVERS@/in.{name}d")
    return "service " + "\n\t".join([f"{name}\n{{", *usual, *lines]) + "\n}\n\n"


def _rpc(name: str, versions: str, *lines: str) -> str:
    usual = ("type = RPC", f"rpc_version = {versions}", "protocol = udp", f"server = @SERVERS@/rpc.{name}")
    return _server(name, *usual, *lines, kind="dgram", wait="yes")


def _pair(name: str) -> str:
    return "".join(
        _server(name, "type = INTERNAL", f"id = {name}-{kind}", f"protocol = {protocol}", kind=kind, wait=wait)
        for kind, protocol, wait in (("stream", "tcp", "no"), ("dgram", "udp", "yes"))
    )


SAMPLE = (
    """#
# What a host of that time offered.
#
defaults
{
	# at most so many servers of one service
	instances 		= 25

	log_type 		= FILE @WORK@/service.log

	log_on_success	= HOST PID
	log_on_failure = HOST\x20

	only_from 		= 192.168.1.0 192.168.2.0 198.51.100.0 203.0.113.0
	only_from 		= localhost 192.0.2.0/24
	disabled 		= tftp
}

"""
    + _server("login", "protocol = tcp", "log_type = SYSLOG local4 info")
    + _server("shell", "instances = UNLIMITED", "flags = IDONLY", "log_on_success += USERID")
    + _server("exec")
    + _server("comsat", "group = tty", kind="dgram", wait="yes", user="nobody")
    + _server("talk", kind="dgram", wait="yes")
    + _server("ntalk", kind="dgram", wait="yes")
    + _server("telnet", f"bind = {HOME}", "log_on_failure += USERID")
    + _server("telnet", f"bind = {SIX}", f"redirect = {HOME} 23", "log_on_failure += USERID")
    + _server(
        "ftp", "server_args = -l", "instances = 4", "log_on_success += DURATION USERID", "log_on_failure += USERID",
        "access_times = 0:00-11:59 12:00-23:59", "nice = 10",
    )
    + _server("name", kind="dgram", wait="yes")
    + _server("tftp", "server_args = -s /tftpboot", kind="dgram", wait="yes")
    + _server("finger", user="nobody")
    + _server(
        "systat", "server = @PS@", "server_args = -auwwx", "only_from = 192.168.1.0", "log_on_success = HOST",
        user="nobody",
    )
    + _server(
        "netstat", "server = @PS@", "server_args = -f inet", "only_from = 192.168.2.0", "log_on_success = HOST",
        user="nobody",
    )
    + "".join(map(_pair, ("echo", "chargen", "daytime", "time")))
    + _rpc("rstatd", "2-4", "flags = INTERCEPT")
    + _rpc("rquotad", "1")
    + _rpc("rusersd", "1-2")
    + _rpc("sprayd", "1")
    + _rpc("walld", "1", "group = tty")
    + _server("irc", "type = INTERNAL", "flags = SENSOR", "bind = 192.168.1.5", "deny_time = 60")
)  # fmt: skip
TEMPLATE = """# Copy this to a file of its own and fill it in.

service empty
{
	disable		= no

# For all
""" + "".join(
    f"\t{name:<15}= \n"
    for name in (
        "id", "type", "wait", "socket_type", "user", "group", "server", "server_args", "port", "rpc_version",
        "rpc_number", "log_type", "log_on_success", "log_on_failure", "flags", "bind", "redirect", "v6only",
        "only_from", "no_access", "access_times", "cps", "instances", "per_source", "max_load", "deny_time", "mdns",
        "env", "passenv", "nice", "umask", "groups", "rlimit_as", "rlimit_cpu", "rlimit_data", "rlimit_rss",
        "rlimit_stack",
    )
) + "#\tbanner\t\t=\n}\n"  # fmt: skip


def _found(name: str, port: int, *lines: str) -> str:
    """An entry as projects ship theirs: switched on, on a port of its own that services(5) does not know."""
    given = {line.split()[0].lower() for line in lines}
    usual = ("disable = no", "type = UNLISTED", "socket_type = stream", "protocol = tcp", "wait = no", "user = root",
             f"port = {port}", "server = @PROBE@")  # fmt: skip
    body = "".join(f"        {line}\n" for line in (*(one for one in usual if one.split()[0] not in given), *lines))
    return f"# default: on\nservice {name}\n{{\n{body}}}\n"


WILD = (
    "defaults\n{\n        instances = 60 # enough\n        log_type = FILE @WORK@/service.log\n"
    "        log_on_success = HOST PID\n        log_on_failure = HOST\n        cps = 25 30\n}\n"
    + _found("agent", 6556, "flags = IPv4", "only_from = 127.0.0.1 192.168.1.20 #collector", "log_on_success =")
    + _found(
        "cluster", 9200, "FLAGS = REUSE", "user = nobody", "log_on_failure += USERID", "only_from = 0.0.0.0/0",
        "per_source = UNLIMITED",
    )
    + _found(
        "arena", 9999, "bind = 0.0.0.0", "server_args = --userspec=1000:1000 /home ./play", "banner_fail = @WORK@/full",
        "per_source = 10 # for each player", "rlimit_cpu = 20 # seconds", "nice = 18",
    )
    + _found(
        "desk", 5901, "flags = IPv4", "group = tty", "user = nobody", "instances = UNLIMITED",
        "server_args = -inetd -once -depth 24", 'env = "DISPLAY=:1"',
    )
    + _found("grid", 2811, "env += PORTS=40000,41000", "env += LIBRARY=/opt/lib", "cps = 400 10", "nice += 10")
    + _found(
        "relay", 8080, "type = unlisted", "redirect = 127.0.0.1 9200", "flags = NODELAY", "only_from = 192.168.1.0",
    )
    + _found("office", 8081, "access_times = 0:00-23:59", "no_access = 192.168.1.21 192.168.2.0/24", "max_load = 1000")
    + _found("odd", 8082, "kafel_rule = x", "scoket_type = stream", "port = 8083", "only_from += localhost")
    + _found("old", 8084, "disable = yes", "server = /opt/gone", "user = gone")
    + _found("gone", 8085, "server = /opt/gone")
    + "service tftp\n{\n        protocol = udp\n        port = 69\n        socket_type = dgram\n        wait = yes\n"
    "        user = root\n        server = @PROBE@\n        server_args = -s -v /boot\n        per_source = 11\n"
    "        cps = 100 2\n        flags = IPv4\n        disable = no\n}\nincludedir @WORK@/gone.d\n"
)  # fmt: skip
"""What is found in public repositories, in few words: monitoring agents, checks of clusters, games, desktops, transfer
of files, boot servers; remarks behind values, misspelt attributes, quotes, capitals, what is not there any more."""
