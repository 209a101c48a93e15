"""What a reload changes: which running services go on, which end, which begin. A function of values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sentinetd.model.noun import dataclass
from sentinetd.model.service import Service
from sentinetd.model.values import Flag, Type

_OF_THE_SOCKET = frozenset({Type.RPC, Type.INTERNAL, Type.UNLISTED})


@dataclass(frozen=True, slots=True)
class Plan:
    """Services by number. *keep*: nothing changed. *adjust*: same listener, counts and servers, new configuration.

    *stop* ends; *start* begins, under numbers never used before. *stayed*: left out of the new configuration for a
    mistake, so the running version goes on as it is (not in *keep*).
    """

    start: Mapping[int, Service]
    keep: Mapping[int, Service]
    adjust: Mapping[int, Service]
    stop: frozenset[int]
    stayed: frozenset[int]


def plan(running: Mapping[int, Service], wanted: Sequence[Service], faulty: frozenset[str], next_number: int) -> Plan:
    """From *running* to *wanted*; new numbers begin at *next_number*. *faulty*: ids, lower case, of bad entries."""
    numbers = {id(service): number for number, service in running.items()}
    keep: dict[int, Service] = {}
    changed: list[Service] = []
    for service in wanted:
        number = numbers.pop(id(service), None)
        if number is not None:  # nothing about it was even read again
            keep[number] = service
        else:
            changed.append(service)
    free: defaultdict[tuple[Any, ...], list[int]] = defaultdict(list)
    for number in numbers.values():
        free[identity(running[number])].append(number)
    adjust: dict[int, Service] = {}
    rest: list[Service] = []
    for service in changed:
        candidates = free[identity(service)] if free else []
        same = next((number for number in candidates if running[number] == service), None)
        if same is not None:
            keep[same] = service
        elif candidates:
            same = candidates[0]
            adjust[same] = service
        if same is None:
            rest.append(service)
        else:
            candidates.remove(same)
    left = {number: service for number, service in running.items() if number not in keep and number not in adjust}
    stayed = frozenset(number for number, service in left.items() if service.id.lower() in faulty)
    return Plan(
        start=dict(enumerate(rest, next_number)),
        keep=keep,
        adjust=adjust,
        stop=frozenset(left) - stayed,
        stayed=stayed,
    )


def identity(service: Service) -> tuple[Any, ...]:
    """What must be the same for a listener to go on: the id, and all that its socket was made from."""
    return (
        service.id.lower(),
        service.socket_type,
        service.protocol,
        service.wait,
        Flag.INTERCEPT in service.flags,
        service.family,
        service.address,
        service.port,
        service.ports,
        service.caught,
        service.v6only,
        service.type & _OF_THE_SOCKET,
        service.rpc_number if Type.RPC in service.type else None,
    )
