"""The configuration lines of the state dump, in xinetd's layout; what xinetd never showed comes after its own lines.

Unlike xinetd it says `No sites` for an empty only_from, and asks no DNS: addresses stay numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from enum import Enum

from sentinetd.model.address import BITS, EVERYONE, Address, AddressSet, Network
from sentinetd.model.diagnostic import printable
from sentinetd.model.service import Service
from sentinetd.model.values import Family, FileLog, Flag, Interval, OnFailure, OnSuccess, Spread, SyslogLog, Type


def configuration(service: Service) -> tuple[str, ...]:
    """The lines below ``Service configuration: NAME``, without indentation but for that within them."""
    return tuple(
        printable(line) if not line.startswith("\t") else "\t" + printable(line[1:]) for line in _lines(service)
    )


def _lines(service: Service) -> Iterator[str]:
    yield f"id = {service.id}"
    family = Flag.IPV4 if service.family is Family.IPV4 else Flag.IPV6  # xinetd shows the one it settled on
    yield f"flags ={_options(Flag, service.flags - {Flag.IPV4, Flag.IPV6} | {family})}"
    if service.type:
        yield f"type ={_options(Type, service.type)}"
    yield f"socket_type = {service.socket_type.value}"
    yield f"Protocol (name,number) = ({service.protocol.name},{service.protocol.number})"
    yield f"port = {service.port}"
    yield from _running(service)
    yield f"Bind = {service.address or 'All addresses.'}"
    yield from _program(service)
    if service.access_times:
        yield f"Access times ={''.join(f' {_clock(one)}' for one in service.access_times)}"
    yield f"Only from: {'All sites' if service.only_from == EVERYONE else _sites(service.only_from) or 'No sites'}"
    yield f"No access: {_sites(service.no_access) or 'No blocked sites'}"
    if service.sensor:
        yield f"Deny Time: {-1 if service.forever else int(service.deny_time // 60)}"
    yield from _logging(service)
    if service.passenv is not None:
        yield f"Passenv ={_words(service.passenv)}"
    if service.env:  # as in xinetd, who adds nothing gets no strings shown
        yield from _strings("Environment additions:", service.env)
        yield from _strings("Environment strings:", service.environment)
    yield from _beyond(service)


def _running(service: Service) -> Iterator[str]:
    yield f"wait = {_yes(service.wait)}"
    if service.user:
        yield f"user = {service.credentials.uid if service.credentials.uid is not None else service.user}"
    if service.group:
        yield f"group = {service.credentials.gid if service.credentials.gid is not None else service.group}"
    yield f"Groups = {_yes(service.groups)}"
    if service.umask is not None:
        yield f"umask = {service.umask:o}"
    if service.nice:
        yield f"Nice = {service.nice}"
    if service.instances is not None:
        yield f"Instances = {service.instances}"
    yield f"CPS = max conn:{service.cps.rate} wait:{service.cps.wait}"
    yield f"PER_SOURCE = {-1 if service.per_source is None else service.per_source}"


def _program(service: Service) -> Iterator[str]:
    if service.server:
        yield f"Server = {service.server}"
        yield f"Server argv ={_words(service.argv)}"
    if service.libwrap:
        yield f"Libwrap = {service.libwrap}"
    if service.redirect:
        yield f"Redirect = {service.redirect.host}:{service.redirect.port}"
    if Type.RPC in service.type and service.rpc_version:
        yield "RPC data"
        yield f"\tprogram number = {service.rpc_number}"
        low, high = service.rpc_version
        yield f"\trpc_version = {low}" + (f"-{high}" if high != low else "")


def _logging(service: Service) -> Iterator[str]:
    target = service.log_type
    if target is None:
        yield "No logging"
        return
    if isinstance(target, SyslogLog):
        yield f"Logging to syslog. Facility = {target.facility}, level = {target.level}"
    elif target.common:
        yield "Logging to common log file"
    else:
        yield f"Logging to file: {target.path} {_limits(target)}"
    yield f"Log_on_success flags ={_options(OnSuccess, service.log_on_success)}"
    yield f"Log_on_failure flags ={_options(OnFailure, service.log_on_failure)}"


def _beyond(service: Service) -> Iterator[str]:
    """What xinetd's dump leaves out, and what xinetd does not have."""
    yield f"Family = {service.family.value}"
    if service.max_load is not None:
        yield f"Max load = {service.max_load:g}"
    for name, limit in service.rlimits:
        yield f"{name} = {'UNLIMITED' if math.isinf(limit) else int(limit)}"
    for name in ("banner", "banner_success", "banner_fail"):
        if path := getattr(service, name):
            yield f"{name} = {path}"
    if service.cps_source:
        yield f"cps_source = {service.cps_source.rate} {service.cps_source.span:g}"
    if service.exempt:
        yield f"exempt: {_sites(service.exempt)}"
    if service.proxy_protocol:
        yield f"proxy_protocol: {_sites(service.proxy_protocol)}"
    if service.deny_dgram:
        yield "deny_dgram = yes"
    if service.end_sessions:
        yield "end_sessions = yes"
    if service.deny_prefix:
        yield f"deny_prefix = {service.deny_prefix.v4} {service.deny_prefix.v6}"
    if service.capture:
        yield f"capture = {service.capture.size} {service.capture.seconds:g}"
    if service.decoy:
        yield f"decoy = {service.decoy.value}"
    if service.tarpit:
        yield f"tarpit = {service.tarpit:g}"
    if service.ports:
        yield f"ports = {service.ports}"
    if service.ports_except:
        spots = (_spot(one.network, (one.low, one.high)) for one in service.ports_except.spots)
        yield f"ports_except = {','.join([*map(_span, service.ports_except.ranges), *spots])}"
    if service.addresses:
        yield f"addresses:{_words(map(str, service.addresses.networks))}"


def _span(ports: Spread) -> str:
    low, high = ports
    return str(low) if low == high else f"{low}-{high}"


def _spot(network: Network, ports: Spread) -> str:
    return f"{network}:{_span(ports)}" if network.version == 4 else f"[{network}]:{_span(ports)}"


def _options(noun: type[Enum], chosen: frozenset[Enum]) -> str:
    return "".join(f" {one.value}" for one in noun if one in chosen)


def _words(words: Iterable[str]) -> str:
    return "".join(f" {word}" for word in words)


def _strings(title: str, strings: tuple[str, ...]) -> Iterator[str]:
    if strings:
        yield title
        for one in strings:
            yield f"\t{one}"


def _sites(sites: AddressSet) -> str:
    return "".join(f" {_site(net)}" for net in sites.networks) + "".join(f" {name}(HOST)" for name in sites.names)


def _site(net: Network) -> str:
    """As xinetd writes it: IPv4 networks of whole bytes by their zeros, others with a netmask."""
    address = str(Network.of(Address(net.version, net.value, "", net.scope), BITS[net.version]))
    if net.length == BITS[net.version] or (net.version == 4 and _by_zeros(net)):
        return f"{address}(NUMERIC)"
    full = (1 << BITS[net.version]) - 1
    mask = Network(net.version, full ^ (full >> net.length), BITS[net.version])
    return f"{address}/{mask}(NET)"


def _by_zeros(net: Network) -> bool:
    """Whether the trailing zero bytes of the address say how long the network is."""
    zeros = 0
    while zeros < 4 and not net.value >> 8 * zeros & 0xFF:
        zeros += 1
    return net.length == 32 - 8 * zeros


def _clock(one: Interval) -> str:
    return f"{one.start // 60:02}:{one.start % 60:02}-{one.end // 60:02}:{one.end % 60:02}"


def _limits(target: FileLog) -> str:
    return f"(soft={target.soft} hard={target.hard})" if target.soft else "(no limits)"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
