"""What single values need to have asked of the machine: users, programs, and names of protocols, ports and networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sentinetd.config.host import Host
from sentinetd.model.address import BITS, AddressSet, Network
from sentinetd.model.attribute import BadValue, Words
from sentinetd.model.noun import replace
from sentinetd.model.port_words import numbered
from sentinetd.model.readers import is_number, nearest
from sentinetd.model.values import FileLog, Protocol, SyslogLog


def looked_up(attribute: str, value: Any, host: Host) -> Any:
    """*value* as the machine knows it; BadValue for what it does not know."""
    look = _VALUES.get(attribute)
    return look(value, host) if look else value


def words_looked_up(attribute: str, words: Words, host: Host) -> Words:
    """*words* with names in place of which the reader wants numbers replaced."""
    if attribute in ("ports", "ports_except"):
        return numbered(words, lambda name: host.port(name, "tcp") or host.port(name, "udp"))
    if attribute != "redirect" or len(words) != 2 or is_number(words[1]):
        return words
    port = host.port(words[1], "tcp")
    return words if port is None else (words[0], str(port))


def _protocol(value: Protocol, host: Host) -> Protocol:
    found = host.protocol(value.name)
    if found is None:
        raise BadValue(f"Protocol {value.name} not in /etc/protocols", "write tcp, udp, or another name from that file")
    return found


def _user(value: str, host: Host) -> str:
    if not is_number(value) and host.user(value) is None:
        raise BadValue(f"Unknown user: {value}", "create the user, or write one that exists, or a number")
    return value


def _group(value: str, host: Host) -> str:
    if not is_number(value) and host.group(value) is None:
        raise BadValue(f"Unknown group: {value}", "create the group, or write one that exists, or a number")
    return value


def _server(value: str, host: Host) -> str:
    path = value if value.startswith("/") else "/" + value  # a server starts in /, so that is where xinetd looks
    why = host.not_executable(path)
    if why:
        raise BadValue(f"Server {value} is not executable: {why}", "install the program, or mend the path")
    return path


def _networks(value: AddressSet, host: Host) -> AddressSet:
    """Names that networks(5) knows are networks; all others stay names."""
    if not value.names:
        return value
    found = {name: host.network(name) for name in value.names}
    return AddressSet(
        value.networks + tuple(net for net in found.values() if net),
        tuple(name for name, net in found.items() if not net),
    )


def _exempt(value: AddressSet, host: Host) -> AddressSet:
    """What a host name stands for is looked up later, again and again. Nobody knows all hosts of a domain."""
    known = _networks(value, host)
    for name in known.names:
        if name.startswith("."):
            raise BadValue(f"{name} is a domain, of which no addresses can be looked up", "write hosts, or networks")
    return known


def _peers(value: AddressSet, host: Host) -> AddressSet:
    """Who announces others is looked at where nothing can be asked: names become addresses now."""
    known = _networks(value, host)
    networks = list(known.networks)
    for name in known.names:
        found = () if name.startswith(".") else host.addresses(name)
        if not found:
            raise BadValue(f"{name} has no address that could be looked up", "write its address, or a network")
        networks += [Network.of(address, BITS[address.version]) for address in found]
    return AddressSet(tuple(networks))


def _log(value: FileLog | SyslogLog | None, host: Host) -> FileLog | SyslogLog | None:
    """A relative name means the same file at every reload, when the daemon works in the root directory."""
    return replace(value, path=host.absolute(value.path)) if isinstance(value, FileLog) else value


_VALUES: Mapping[str, Callable[[Any, Host], Any]] = {
    "protocol": _protocol,
    "user": _user,
    "group": _group,
    "server": _server,
    "only_from": _networks,
    "no_access": _networks,
    "exempt": _exempt,
    "log_type": _log,
    "proxy_protocol": _peers,
}


def unknown_service(name: str, host: Host) -> str:
    """The way out for a name that services(5) lacks."""
    return f"{nearest(name, set(host.service_names()))}add it to /etc/services, or write type = UNLISTED and port = N"
