"""The state of the daemon as text, in xinetd's layout (SIGUSR1), and whether the state is of one piece (SIGABRT)."""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Iterator

from sentinetd import __version__
from sentinetd.config.dump import configuration
from sentinetd.daemon.guard import Guard
from sentinetd.model.connection import Connection

BANS_SHOWN = 1000
"""Bans that the dump lists; their number is always told."""


def dump(guard: Guard, config: str) -> str:
    """What runs, for whom, who is banned: for a person who reads it. *config*: the configuration's path."""
    return "\n".join(_lines(guard, config)) + "\n"


def _lines(guard: Guard, config: str) -> Iterator[str]:
    engine = guard.engine
    yield f"INTERNAL STATE DUMP: sentinetd {__version__}"
    yield f"Current time: {time.ctime()}"
    yield ""
    yield "Services:"
    for number, service in engine.services.items():
        listener = guard.doors.listener(number)
        yield f"Service = {service.name}"
        state = engine.state(number)
        yield f"\tState = {'Not started' if listener is None and state == 'Active' else state}"
        yield f"\tService configuration: {service.name}"
        for line in configuration(service):
            yield f"\t\t{line}"
        yield f"\trunning servers = {engine.count(number)}"
        yield f"\tservice fd = {-1 if listener is None else listener.fileno()}"
        yield ""
    yield "Server table dump:"
    for server in engine.servers():
        yield f"{_name(guard, server.connection)} server"
        yield f"pid = {server.pid}"
        yield f"start_time = {time.ctime(time.time() - (guard.loop.now() - server.started))}"
        yield "Connection info:"
        yield f"\tservice = {_name(guard, server.connection)}"
        yield f"\tremote_address = {_peer(server.connection)}"
        yield ""
    yield "Retry table dump:"
    for connection in engine.retries():
        yield f"{_name(guard, connection)} for {_peer(connection)}"
    yield ""
    yield from _bans(guard)
    yield f"available_services = {guard.doors.open_count}"
    yield f"running_servers = {len(engine.servers())}"
    yield f"records not yet written = {guard.link.behind}"
    yield f"servers started by = {guard.launcher.name}"
    for line in guard.enforcement.state():
        yield f"bans outside the daemon = {line}"
    yield f"config_file = {config}"
    yield ""
    yield "END OF DUMP"


def _bans(guard: Guard) -> Iterator[str]:
    ledger, now = guard.engine.bans.ledger, guard.loop.now()
    yield f"Bans in force: {len(ledger)}"
    for place, (network, until) in enumerate(ledger.bans()):
        if place == BANS_SHOWN:
            yield f"\t... and {len(ledger) - BANS_SHOWN} more"
            break
        lasting = "until lifted" if math.isinf(until) else f"for {max(0.0, until - now):.0f} seconds"
        yield f"\t{network} {lasting}"
    yield ""


def _name(guard: Guard, connection: Connection) -> str:
    service = guard.engine.services.get(connection.service)
    return f"(service {connection.service}, dropped)" if service is None else service.id


def _peer(connection: Connection) -> str:
    return "<no address>" if connection.source is None else f"{connection.source.text},{connection.port}"


def consistency(guard: Guard) -> list[str]:
    """What does not fit together: counts against tables, processes we believe in against those there are."""
    engine = guard.engine
    faults = []
    running = Counter(server.connection.service for server in engine.servers())
    waiting = Counter(connection.service for connection in engine.retries())
    for number, service in engine.services.items():
        if engine.count(number) < running[number] + waiting[number]:
            faults.append(
                f"service {service.id}: actual running servers = {running[number]}, known running servers = "
                f"{engine.count(number)}"
            )
        watched = guard.doors.watched(number)
        if engine.state(number) == "Suspended" and watched:
            faults.append(f"Active single-threaded service {service.id}: server running, descriptor set")
        if engine.state(number) == "Active" and guard.doors.listener(number) is not None and not watched:
            faults.append(f"Active service {service.id}: descriptor not set")
    faults += [
        f"service {_name(guard, server.connection)}: server {server.pid} is not there"
        for server in engine.servers()
        if not os.path.exists(f"/proc/{server.pid}")
    ]
    return faults
