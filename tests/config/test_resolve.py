"""Entries to services: defaults, merging, disabling, duplicates, completion and the rules."""

from __future__ import annotations

import math
from typing import Any

import pytest

from config.machine import Machine, entry, loaded
from sentinetd.config.load import load
from sentinetd.model.address import EVERYONE, Address, AddressSet, Network
from sentinetd.model.service import (
    Cps,
    Credentials,
    Family,
    FileLog,
    Flag,
    OnSuccess,
    Place,
    Redirect,
    Service,
    SocketType,
    SyslogLog,
    Type,
)


def only(text: str, **more: Any) -> Service:
    result = loaded(text, **more)
    assert [str(one) for one in result.diagnostics if one.level.value == "error"] == []
    (service,) = result.services
    return service


def said(text: str, **more: Any) -> list[str]:
    return [f"{one.scope.value}: {one}" for one in loaded(text, **more).diagnostics]


def sites(*networks: str) -> AddressSet:
    return AddressSet(tuple(map(Network.parse, networks)))


@pytest.mark.parametrize(
    ("defaults", "lines", "field", "value"),
    [
        pytest.param("only_from = 10.0.0.0", "", "only_from", sites("10.0.0.0/8"), id="a list is inherited"),
        pytest.param("", "", "only_from", EVERYONE, id="no list admits everyone"),
        pytest.param("only_from = 10.0.0.0", "only_from = 192.0.2.1", "only_from", sites("192.0.2.1"), id="= replaces"),
        pytest.param(
            "only_from = 10.0.0.0",
            "only_from += 192.0.2.1",
            "only_from",
            sites("10.0.0.0/8", "192.0.2.1"),
            id="+= adds",
        ),
        pytest.param(
            "only_from = 10.0.0.0 192.0.2.1",
            "only_from -= 192.0.2.1",
            "only_from",
            sites("10.0.0.0/8"),
            id="-= removes",
        ),
        pytest.param(
            "only_from = 192.168.1.0",
            "only_from -= 192.168.1.20",
            "only_from",
            sites("192.168.1.0/24"),
            id="-= cuts nothing up",
        ),
        pytest.param("", "only_from =", "only_from", sites(), id="an empty list"),
        pytest.param("", "only_from += 192.0.2.1", "only_from", sites("192.0.2.1"), id="+= on nothing"),
        pytest.param("", "only_from -= 192.0.2.1", "only_from", sites(), id="-= on nothing admits nobody"),
        pytest.param("no_access = 192.0.2.1", "no_access =", "no_access", sites(), id="= with nothing clears"),
        pytest.param(
            "only_from = 10.0.0.0; only_from = 192.0.2.1",
            "",
            "only_from",
            sites("10.0.0.0/8", "192.0.2.1"),
            id="in defaults = adds",
        ),
        pytest.param(
            "log_on_success = HOST",
            "log_on_success += PID",
            "log_on_success",
            frozenset({OnSuccess.HOST, OnSuccess.PID}),
            id="options add up",
        ),
        pytest.param(
            "log_on_success = HOST PID",
            "log_on_success -= HOST",
            "log_on_success",
            frozenset({OnSuccess.PID}),
            id="options are taken away",
        ),
        pytest.param("instances = 5", "", "instances", 5, id="a number is inherited"),
        pytest.param("instances = 5", "instances = UNLIMITED", "instances", None, id="an own number wins"),
        pytest.param("", "", "cps", Cps(50, 10), id="cps without a line"),
        pytest.param("cps = 25 30", "", "cps", Cps(25, 30), id="cps of the defaults"),
        pytest.param("umask = 022", "", "umask", 0o22, id="umask"),
        pytest.param("log_type = FILE /x 100", "", "log_type", FileLog("/x", 100, 5220, True), id="the common log"),
        pytest.param("log_type = FILE /x", "log_type = FILE /x", "log_type", FileLog("/x"), id="its own log"),
        pytest.param("log_type = SYSLOG mail", "", "log_type", SyslogLog("mail"), id="syslog"),
        pytest.param("", "env = A=1; env += B=2 A=3", "env", ("A=1", "B=2", "A=3"), id="env adds up"),
        pytest.param("", "env = A=1; env = B=2", "env", ("B=2",), id="env is replaced"),
        pytest.param("passenv = PATH", "passenv += path LANG", "passenv", ("PATH", "LANG"), id="passenv knows no case"),
        pytest.param("passenv = PATH LANG", "passenv -= path", "passenv", ("LANG",), id="passenv loses one"),
        pytest.param("v6only = yes", "", "family", Family.IPV6, id="v6only of the defaults is honoured"),
        pytest.param("", "v6only = no", "family", Family.DUAL, id="v6only = no is honoured"),
        pytest.param(
            "",
            "rlimit_as = 1k; rlimit_files = 9",
            "rlimits",
            (("rlimit_files", 9.0), ("rlimit_as", 1024.0)),
            id="limits",
        ),
        pytest.param(
            "",
            "only_from = office ten Loopback",
            "only_from",
            sites("192.168.1.0/24", "10.0.0.0/8", "127.0.0.0/8"),
            id="networks(5)",
        ),
        pytest.param(
            "",
            "only_from = nothing link-local",
            "only_from",
            AddressSet((Network.parse("169.254.0.0/16"),), ("nothing",)),
            id="network 0 is a host name",
        ),
        pytest.param("bind = 192.0.2.1", "", "address", Address.parse("192.0.2.1"), id="bind of the defaults"),
        pytest.param("", "interface = 192.0.2.1", "address", Address.parse("192.0.2.1"), id="interface is bind"),
    ],
)
@pytest.mark.parametrize("above", [True, False], ids=["defaults above", "defaults below"])
def test_defaults(defaults: str, lines: str, field: str, value: Any, above: bool) -> None:
    first = "defaults\n{\n" + "\n".join(defaults.split(";")) + "\n}\n"
    second = entry("ftp", lines)
    assert getattr(only(first + second if above else second + first), field) == value


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        pytest.param(entry("ftp", ""), {"port": 21, "family": Family.DUAL, "address": None, "id": "ftp"}, id="plain"),
        pytest.param(
            entry("www", "", protocol="tcp", socket_type=""), {"port": 80, "socket_type": SocketType.STREAM}, id="alias"
        ),
        pytest.param(entry("tftp", "", socket_type="dgram", wait="yes"), {"port": 69, "wait": True}, id="udp"),
        pytest.param(entry("tftp", "", socket_type="dgram"), {"wait": True}, id="a dgram service waits"),
        pytest.param(entry("x", "type = UNLISTED; port = 7001"), {"port": 7001}, id="unlisted"),
        pytest.param(entry("ftp", "port = 21"), {"port": 21}, id="the listed port"),
        pytest.param(entry("ftp", "flags = IPv4"), {"family": Family.IPV4}, id="flag IPv4"),
        pytest.param(entry("ftp", "flags = IPv6"), {"family": Family.DUAL}, id="flag IPv6"),
        pytest.param(entry("ftp", "flags = IPv6; v6only = yes"), {"family": Family.IPV6}, id="IPv6 alone"),
        pytest.param(entry("ftp", "flags = IPv4 IPv6"), {"family": Family.DUAL}, id="both flags"),
        pytest.param(
            entry("ftp", "bind = 127.1"),
            {"address": Address.parse("127.0.0.1"), "family": Family.IPV4},
            id="bind 127.1",
        ),
        pytest.param(entry("ftp", "bind = 2001:db8::1"), {"family": Family.IPV6}, id="bind IPv6"),
        pytest.param(entry("ftp", "bind = ::"), {"family": Family.DUAL, "address": Address.parse("::")}, id="bind ::"),
        pytest.param(entry("ftp", "bind = 0.0.0.0"), {"family": Family.IPV4}, id="bind 0.0.0.0"),
        pytest.param(entry("ftp", "bind = one.example"), {"address": Address.parse("192.0.2.1")}, id="bind to a name"),
        pytest.param(
            entry("ftp", "bind = two.example"), {"address": Address.parse("192.0.2.3")}, id="the first address"
        ),
        pytest.param(entry("ftp", "bind = both.example"), {"address": Address.parse("2001:db8::2")}, id="IPv6 first"),
        pytest.param(
            entry("ftp", "bind = both.example; flags = IPv4"),
            {"address": Address.parse("192.0.2.2")},
            id="the flag chooses",
        ),
        pytest.param(
            entry("irc", "flags = SENSOR; type = INTERNAL; deny_time = 120", user="root", server=""),
            {"wait": False, "deny_time": 7200.0, "sensor": True},
            id="the article's sensor",
        ),
        pytest.param(
            entry("irc", "flags = SENSOR", wait="", user="", server=""),
            {"type": frozenset({Type.INTERNAL})},
            id="SENSOR alone is enough",
        ),
        pytest.param(
            entry("time", "flags = SENSOR", socket_type="dgram", server=""), {"wait": True}, id="dgram sensor"
        ),
        pytest.param(
            entry("irc", "flags = SENSOR; deny_time = FOREVER", server=""), {"deny_time": math.inf}, id="FOREVER"
        ),
        pytest.param(
            entry("irc", "flags = SENSOR", wait="yes"), {"wait": False, "server": ""}, id="a sensor runs nothing"
        ),
        pytest.param(
            entry("ftp", "flags = NAMEINARGS; server_args = a b"), {"argv": ("a", "b")}, id="NAMEINARGS before"
        ),
        pytest.param(
            entry("ftp", "server_args = a b; flags = NAMEINARGS"), {"argv": ("a", "b")}, id="NAMEINARGS after"
        ),
        pytest.param(entry("ftp", "flags = INTERCEPT"), {"flags": frozenset()}, id="INTERCEPT needs wait"),
        pytest.param(
            entry("ftp", "redirect = one.example ftp", server=""),
            {"redirect": Redirect("one.example", 21)},
            id="redirect",
        ),
        pytest.param(entry("mux", "type = TCPMUX"), {"port": 0}, id="TCPMUX without UNLISTED"),
        pytest.param(
            entry("rstat", "type = RPC; rpc_version = 2-4", socket_type="dgram", wait="yes"),
            {"rpc_number": 100001, "port": 0, "flags": frozenset()},
            id="RPC",
        ),
        pytest.param(
            entry("rstat", "type = RPC; rpc_version = 2; flags = NODELAY"),
            {"flags": frozenset({Flag.NODELAY, Flag.NOLIBWRAP})},
            id="RPC over tcp",
        ),
        pytest.param(
            entry("auth", "log_on_success = HOST USERID"),
            {"log_on_success": frozenset({OnSuccess.HOST})},
            id="port 113",
        ),
        pytest.param(entry("ftp", "", user="ann"), {"credentials": Credentials(1000, 1000, ())}, id="a user"),
        pytest.param(
            entry("ftp", "groups = yes", user="ann"), {"credentials": Credentials(1000, 1000, (1000, 100))}, id="groups"
        ),
        pytest.param(entry("ftp", "group = mail", user="ann"), {"credentials": Credentials(1000, 8, ())}, id="group"),
        pytest.param(entry("ftp", "group = 77", user="4711"), {"credentials": Credentials(4711, 77, ())}, id="numbers"),
        pytest.param(
            entry("ftp", "", user="4711"), {"credentials": Credentials(4711, 4711, ())}, id="a number is both"
        ),
        pytest.param(
            entry("ftp", "groups = yes", user="1000"),
            {"credentials": Credentials(1000, 1000, (1000, 100))},
            id="groups of a number",
        ),
        pytest.param(entry("ftp", ""), {"environment": ("PATH=/bin", "LANG=C")}, id="the whole environment"),
        pytest.param(
            entry("ftp", "passenv = LANG; env = A=1 LANG=x"), {"environment": ("LANG=x", "A=1")}, id="passenv and env"
        ),
        pytest.param(entry("ftp", "passenv ="), {"environment": ()}, id="no environment"),
        pytest.param(
            entry("ftp", "passenv =; env = REMOTE_HOST=x A=1"),
            {"environment": ("A=1",)},
            id="REMOTE_HOST is the client's",
        ),
        pytest.param(
            entry("ftp", "flags = IPv4 IPv6; bind = 192.0.2.1"),
            {"family": Family.IPV4, "address": Address.parse("192.0.2.1")},
            id="both flags leave it to the address",
        ),
        pytest.param(entry("ftp", "disable = No # yet"), {}, id="a remark behind disable = no"),
        pytest.param(entry("ftp", "", server="bin/cat"), {"server": "/bin/cat"}, id="a relative server"),
        pytest.param(entry("ftp", "SERVER_ARGS = x"), {"server_args": ("x",)}, id="case of attributes"),
        pytest.param(
            entry("ftp", "flags = NAMEINARGS; server_args = x; flags = REUSE"),
            {"flags": frozenset({Flag.NAMEINARGS})},
            id="the first line of a list counts",
        ),
    ],
)
def test_completion(text: str, facts: dict[str, Any]) -> None:
    service = only(text)
    assert {name: getattr(service, name) for name in facts} == facts


def test_an_entry_without_a_block_misses_nothing_else() -> None:
    text = "service ftp\n" + entry("http", "")
    assert said(text) == ["entry: main.conf:1: Service ftp: missing '{'; write { alone on the line after service ftp"]
    assert loaded(text).faulty == {"ftp"}


def test_of_datagram_services_on_one_port_the_last_one_stays() -> None:
    text = "".join(entry("tftp", f"id = {name}", socket_type="dgram", wait="yes") for name in "abc")
    result = loaded(text)
    assert [one.id for one in result.services] == ["c"]
    told = [str(one) for one in result.diagnostics]
    assert ["id: a" in told[0], "id: b" in told[1], len(told)] == [True, True, 2]
    assert not result.faulty


@pytest.mark.parametrize(
    ("line", "facts", "told"),
    [
        pytest.param(
            "only_from = 192.0.2.1/255.255.255.0 192.0.2.2/255.255.255.255 192.0.2.3/99",
            {"only_from": sites("192.0.2.1", "192.0.2.2", "192.0.2.3")},
            ["admits 192.0.2.1 alone, as in xinetd", "admits 192.0.2.3 alone, as in xinetd"],
            id="netmasks are hosts, as in xinetd",
        ),
        pytest.param(
            "only_from = 192.0.2.1 # two 192.0.2.2 (x)",
            {"only_from": sites("192.0.2.1", "192.0.2.2")},
            ["failed to parse #"],
            id="a name in a remark admits nobody",
        ),
        pytest.param(
            "no_access = 192.0.2.1 # two 192.0.2.2 (x)",
            {"no_access": AddressSet(sites("192.0.2.1", "192.0.2.2").networks, ("two",))},
            ["failed to parse #"],
            id="a name in a remark refuses",
        ),
    ],
)
def test_words_of_lists_that_mean_something_else(line: str, facts: dict[str, Any], told: list[str]) -> None:
    result = loaded(entry("ftp", line))
    (service,) = result.services
    assert {name: getattr(service, name) for name in facts} == facts
    errors = [str(one) for one in result.diagnostics if one.level.value == "error"]
    assert [part in one for part, one in zip(told, errors, strict=True)] == [True] * len(told)



@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(
            entry("ftp", "", wait=""), "entry: main.conf:1: Service ftp missing attribute wait - DISABLING", id="wait"
        ),
        pytest.param(entry("ftp", "", user=""), "Service ftp missing attribute user", id="user"),
        pytest.param(entry("ftp", "", socket_type=""), "Service ftp missing attribute socket_type", id="socket_type"),
        pytest.param(entry("ftp", "", server=""), "Must specify a server in ftp", id="server"),
        pytest.param(
            entry("ftp", "", server="", user="", redirect="one.example 80"),
            "missing attribute user",
            id="redirect's user",
        ),
        pytest.param(entry("ftp", "", user="bob"), "main.conf:5: user: Unknown user: bob", id="unknown user"),
        pytest.param(entry("ftp", "group = wheel"), "group: Unknown group: wheel", id="unknown group"),
        pytest.param(entry("ftp", "groups = yes", user="4711"), "getpwuid( 4711 ) failed", id="groups of nobody known"),
        pytest.param(
            entry("ftp", "", server="/opt/x"), "Server /opt/x is not executable: No such file", id="no server"
        ),
        pytest.param(entry("ftp", "protocol = xtp"), "Protocol xtp not in /etc/protocols", id="protocol"),
        pytest.param(entry("ftp", "protocol = udp"), "socket_type stream does not go with protocol udp", id="mismatch"),
        pytest.param(entry("gopher", ""), "can't find service: gopher with getservbyname", id="no port"),
        pytest.param(entry("7001", ""), "can't find service: 7001", id="a number is no port"),
        pytest.param(entry("gopher", "port = 70"), "combination not in /etc/services: gopher/tcp", id="not listed"),
        pytest.param(entry("ftp", "port = 2121"), "Service ftp expects port 21, not 2121", id="another port"),
        pytest.param(entry("x", "type = UNLISTED"), "Unlisted service: x must have a port entry", id="unlisted"),
        pytest.param(
            entry("ftp", "flags = IPv6; bind = 192.0.2.1"), "is an IPv4 address, and the flag is IPv6", id="v4 bind"
        ),
        pytest.param(
            entry("ftp", "flags = IPv4; bind = ::1"), "is an IPv6 address, and the flag is IPv4", id="v6 bind"
        ),
        pytest.param(entry("ftp", "bind = eth0"), "bad address: eth0", id="interface name"),
        pytest.param(
            entry("ftp", "bind = two.example; flags = IPv6"), "no addresses returned for: two.example", id="no v6"
        ),
        pytest.param(
            entry("ftp", "no_access = 192.0.2.1 10.0.0.x 1.2.3.256"), "failed to parse 1.2.3.256", id="fails closed"
        ),
        pytest.param(
            entry("x", "type = INTERNAL UNLISTED; port = 5"), "No such internal service: x/stream", id="not built in"
        ),
        pytest.param(
            entry("sensor", "type = INTERNAL UNLISTED; port = 5"), "No such internal service: sensor", id="no sensor"
        ),
        pytest.param(
            entry(
                "ftp", "flags = INTERCEPT; protocol = icmp; type = UNLISTED; port = 5", socket_type="raw", wait="yes"
            ),
            "special service ftp,raw not supported",
            id="INTERCEPT raw",
        ),
        pytest.param(
            entry("ftp", "flags = INTERCEPT; protocol = ip; type = UNLISTED; port = 5", wait="yes"),
            "special service ftp,ip not supported",
            id="INTERCEPT of another protocol",
        ),
        pytest.param(
            entry("ftp", "flags = SENSOR; protocol = tcp", socket_type="raw"), "internal service: sensor/raw", id="raw"
        ),
        pytest.param(entry("ftp", "log_on_success = TRAFFIC"), "ftp should not have TRAFFIC flag", id="TRAFFIC"),
        pytest.param(
            entry("x", "type = UNLISTED RPC; rpc_version = 1"), "missing attribute rpc_number", id="RPC number"
        ),
        pytest.param(entry("rstat", "type = RPC"), "missing attribute rpc_version", id="RPC version"),
        pytest.param(
            entry("rstat", "type = RPC; rpc_version = 1-1001"), "is more than 1000 versions", id="RPC versions"
        ),
        pytest.param(
            entry("rstat", "type = RPC; rpc_version = 1; protocol = ip", socket_type="raw"),
            "rpcbind knows no protocol ip",
            id="RPC protocol",
        ),
        pytest.param(
            entry("ftp", "only_from = .example", wait="yes"), "only_from: .example is a name", id="names and wait"
        ),
        pytest.param(entry("ftp", "env -= A=1"), "operator '-=' not supported for env attribute", id="env -="),
        pytest.param(
            entry("ftp", "", socket_type="raw"), "Port not specified for service: ftp and no protocol", id="raw"
        ),
        pytest.param(
            entry("ftp", "port = 21", socket_type="raw"), "A protocol or a socket_type must be", id="raw port"
        ),
        pytest.param(
            entry("x", "type = UNLISTED; port = 5", socket_type="raw"), "missing attribute protocol", id="raw, unlisted"
        ),
        pytest.param(
            entry("echo", "type = INTERNAL; flags = NAMEINARGS; server_args = x"),
            "Service echo is INTERNAL and has NAMEINARGS flag set",
            id="NAMEINARGS inside",
        ),
        pytest.param(
            entry("ftp", "redirect = one.example 80; flags = NAMEINARGS"),
            "Redirected service ftp should not have NAMEINARGS",
            id="NAMEINARGS of a redirect",
        ),
        pytest.param(
            entry("ftp", "flags = NAMEINARGS"), "Must specify server args if using NAMEINARGS flag", id="NAMEINARGS"
        ),
        pytest.param(
            entry("mux", "type = TCPMUX", socket_type="dgram"),
            "(tcpmux) should have tcp in protocol",
            id="TCPMUX by udp",
        ),
        pytest.param(
            entry("ftp", "redirect = one.example 80", wait="yes"), "Redirected service ftp must not wait", id="redirect"
        ),
        pytest.param(
            entry("tftp", "redirect = one.example 80", socket_type="dgram"),
            "Only tcp sockets are supported",
            id="redirect udp",
        ),
        pytest.param(
            entry("echo", "type = INTERNAL; flags = LABELED"), "Internal services cannot support labeled", id="LABELED"
        ),
        pytest.param(
            entry("tftp", "flags = LABELED", socket_type="dgram"),
            "Non-stream socket types cannot support",
            id="LABELED udp",
        ),
        pytest.param(
            entry("ftp", "redirect = one.example 80; flags = LABELED"),
            "Redirected services cannot support",
            id="LABELED far",
        ),
        pytest.param(entry("ftp", "flags = LABELED", wait="yes"), "Tcp wait services cannot", id="LABELED and wait"),
        pytest.param(
            entry("ftp", "flags = LABELED; proxy_protocol = 192.0.2.1"),
            "Services behind a proxy see no label",
            id="LABELED and PROXY",
        ),
        pytest.param(
            entry("ftp", "flags = LABELED"),
            "Labeled networking is not supported, since SELinux is not enabled here: ftp; delete the flag LABELED",
            id="LABELED without SELinux",
        ),
        pytest.param(entry("ftp", "tasks_max = 5"), "tasks_max is reserved for a later version", id="reserved"),
        pytest.param(entry("ftp", "disable = perhaps; disable = no"), "disable: Bad value: perhaps", id="disable"),
        pytest.param(
            entry("ftp", "disable ="), "attribute disable expects 1 values and 0 values", id="disable nothing"
        ),
        pytest.param(entry("ftp", "ports = 1-5; port = 21"), "port and ports in one entry", id="port and ports"),
    ],
)
def test_an_entry_is_refused(text: str, told: str) -> None:
    result = loaded(text + entry("http", ""))
    assert [service.name for service in result.services] == ["http"]
    assert result.usable_after()
    assert len(result.faulty) == 1
    assert any(told in f"{one.scope.value}: {one}" for one in result.diagnostics)
    assert all(one.way_out for one in result.diagnostics)


def test_labeled_is_in_force_where_selinux_is() -> None:
    machine = {"/sys/fs/selinux/mls": b"1", "/proc/self/attr/current": b"u:r:t:s0\0"}
    (service,) = loaded(entry("ftp", "flags = LABELED"), machine).services
    assert Flag.LABELED in service.flags


def test_an_inherited_option_is_told_of_where_it_stands() -> None:
    told = said("defaults\n{\nlog_on_success = TRAFFIC\n}\n" + entry("ftp", ""))
    assert told[0].startswith("entry: main.conf:3: log_on_success: Service ftp should not have TRAFFIC flag")


def test_every_bad_word_of_a_list_is_told() -> None:
    told = said(entry("ftp", "no_access = 192.0.2.1 10.0.0.x 192.0.2.0/24 1.2.3.256"))
    assert [one.split("failed to parse ")[1].split()[0] for one in told] == ["10.0.0.x:", "1.2.3.256:"]


def test_all_mistakes_of_an_entry_are_told_at_once() -> None:
    assert len(said(entry("ftp", "instances = x; nice = y", user="bob", server="/opt/x"))) == 4


@pytest.mark.parametrize(
    ("defaults", "running"),
    [
        pytest.param("", "a b c", id="all"),
        pytest.param("enabled = A c", "a c", id="enabled, whatever the case"),
        pytest.param("enabled =", "", id="an empty list enables nothing"),
        pytest.param("disabled = b", "a c", id="disabled"),
        pytest.param("enabled = a b; disabled = b", "a", id="disabled wins"),
        pytest.param("enabled = a; enabled += d", "a", id="an id with disable = yes stays disabled"),
        pytest.param("enabled = ftp", "", id="names are no ids"),
    ],
)
def test_enabled(defaults: str, running: str) -> None:
    text = "defaults\n{\n" + "\n".join(defaults.split(";")) + "\n}\n"
    text += "".join(entry("ftp", f"id = {name}; type = UNLISTED; port = {ord(name)}") for name in "abc")
    text += entry("ftp", "id = d; disable = yes; user = nonsense; nice=5")
    assert " ".join(service.id for service in loaded(text).services) == running


def test_a_disabled_entry_is_not_examined() -> None:
    text = "service ftp\n{\n wait = rubbish\n nice=5\n disable = yes\n}\n"
    assert said(text) == []


@pytest.mark.parametrize(
    ("first", "second", "survivors"),
    [
        pytest.param("bind = 192.0.2.1", "bind = 192.0.2.2", 2, id="two addresses"),
        pytest.param("bind = 192.0.2.1", "bind = 192.0.2.1", 1, id="one address"),
        pytest.param("bind = 192.0.2.1", "", 1, id="an address, then all"),
        pytest.param("", "bind = 192.0.2.1", 1, id="all, then an address"),
        pytest.param("", "", 1, id="all twice"),
        pytest.param("flags = IPv4", "flags = IPv6; v6only = yes", 2, id="two families"),
        pytest.param("flags = IPv4", "", 1, id="IPv4 and both"),
        pytest.param("", "type = UNLISTED; port = 2121", 2, id="two ports"),
    ],
)
def test_duplicates(first: str, second: str, survivors: int) -> None:
    result = loaded(entry("ftp", f"id = a; {first}") + entry("ftp", f"id = b; {second}"))
    assert len(result.services) == survivors
    assert len(result.faulty) == 2 - survivors
    if survivors == 1:
        assert "main.conf:1 - DISABLING" in str(result.diagnostics[-1])


@pytest.mark.parametrize(
    ("first", "second", "survivors"),
    [
        pytest.param("rpc_version = 1-3", "rpc_version = 3-4", 1, id="versions overlap"),
        pytest.param("rpc_version = 1-2", "rpc_version = 3-4", 2, id="versions apart"),
        pytest.param("rpc_version = 1", "rpc_version = 1; type = RPC UNLISTED; rpc_number = 5", 2, id="programs apart"),
    ],
)
def test_duplicates_of_rpc(first: str, second: str, survivors: int) -> None:
    second = second if "type" in second else f"type = RPC; {second}"
    text = entry("rstat", f"type = RPC; {first}", socket_type="dgram", wait="yes")
    text += entry("rstat", f"id = b; {second}", socket_type="dgram", wait="yes")
    assert len(loaded(text).services) == survivors


def test_the_same_id_twice_is_no_mistake() -> None:
    result = loaded(entry("ftp", "id = x") + entry("http", "id = X"))
    assert len(result.services) == 2
    assert not result.diagnostics


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(
            entry("ftp", "") + "defaults\n{\nno_access = 192.0.2.1\n}\n",
            [
                "line: main.conf:8: no_access of this defaults entry also reach the 1 services above it, "
                "unlike in xinetd; "
                "move the defaults entry to the top"
            ],
            id="defaults below",
        ),
        pytest.param(
            "defaults\n{\nbanner = /x\nbanner = /y\n}\n",
            [
                "line: main.conf:4: banner: Service (null): attribute already set: banner; "
                "delete this line, or the one at "
                "main.conf:3"
            ],
            id="twice in defaults",
        ),
        pytest.param(
            entry("ftp", "deny_time = 5"),
            [
                "line: main.conf:7: deny_time: deny_time has an effect on sensors only; "
                "write flags = SENSOR, or delete the line"
            ],
            id="deny_time elsewhere",
        ),
        pytest.param(
            entry("ftp", "passenv = HOME"),
            ["line: main.conf:7: passenv: undefined environment variable: HOME; set it before the start, or delete it"],
            id="unset variable",
        ),
        pytest.param(
            entry("echo", "type = INTERNAL; flags = INTERCEPT NOLIBWRAP", server=""),
            [
                "line: main.conf:7: flags: Internal services cannot be intercepted: echo; delete the flag INTERCEPT; "
                "it is ignored",
            ],
            id="INTERCEPT inside",
        ),
        pytest.param(
            entry("ftp", "type = TCPMUX UNLISTED; protocol = tcp; flags = INTERCEPT", wait="yes"),
            [
                "line: main.conf:9: flags: Multiplexed services cannot be intercepted: ftp; delete the flag INTERCEPT; "
                "it is ignored",
            ],
            id="INTERCEPT without a socket",
        ),
        pytest.param(entry("ftp", "flags = INTERCEPT; per_source = 2", wait="yes"), [], id="INTERCEPT and per_source"),
        pytest.param(
            entry("ftp", "flags = INTERCEPT; only_from = .example.test", wait="yes"), [], id="INTERCEPT and names"
        ),
        pytest.param(
            entry("ftp", "v6only = yes; flags = IPv4"),
            ["line: main.conf:7: v6only: v6only has no effect on an IPv4 socket; delete the line"],
            id="v6only on IPv4",
        ),
        pytest.param(
            entry("ftp", "per_source = 2", wait="yes"),
            [
                "line: main.conf:7: per_source: per_source is ignored where wait = yes; "
                "delete the line, or write wait = no"
            ],
            id="per_source and wait",
        ),
        pytest.param(
            entry("ftp", "only_from = 192.0.2.9/24"),
            ["line: main.conf:7: only_from: 192.0.2.9/24 has host bits set; did you mean 192.0.2.0/24?"],
            id="host bits",
        ),
    ],
)
def test_warnings(text: str, told: list[str]) -> None:
    assert said(text) == told


def test_who_is_not_root_runs_servers_as_himself_alone() -> None:
    assert "only root can run servers as user nobody" in said(entry("ftp", ""), uid=1000)[0]
    service = only(entry("ftp", "group = mail; groups = yes", user="ann"), uid=1000)
    assert service.credentials == Credentials(uid=1000)


def test_places_lead_back_to_the_line() -> None:
    service = only(
        "defaults\n{\nno_access = 10.0.0.0\n}\n" + entry("ftp", "only_from = 192.0.2.0 office; only_from += .example")
    )
    assert service.places["only_from 192.0.2.0/24"] == Place("main.conf", 11)
    assert service.places["only_from 192.168.1.0/24"] == service.places["only_from office"] == Place("main.conf", 11)
    assert service.places["only_from .example"] == Place("main.conf", 12)
    assert service.places["no_access 10.0.0.0/8"] == Place("main.conf", 3)
    assert service.places["wait"] == Place("main.conf", 8)
    assert service.places[""] == Place("main.conf", 5)


def test_ten_thousand_services_ask_services_once() -> None:
    text = "".join(entry(f"s{port}", f"type = UNLISTED; port = {port}") for port in range(1, 10_001))
    machine = Machine({"main.conf": (text + entry("ftp", "") + entry("http", "")).encode()})
    result = load("main.conf", machine)
    assert len(result.services) == 10_000
    assert result.faulty == {"ftp", "http"}  # their ports are taken
    assert machine.reads.count("/etc/services") == 1
