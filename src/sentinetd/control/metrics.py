"""Metrics in Prometheus' text format, made of what was counted when somebody asks; nothing is sent meanwhile.

Labels are bounded: services beyond `SERVICES` share one name, reasons and kinds of event are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from sentinetd.control.desk import Counted, SinkState
from sentinetd.model.noun import dataclass, replace
from sentinetd.model.state import Count, DaemonState, Role, ServiceTally, Spread

SERVICES = 500
OTHERS = "(others)"

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Heard:
    """What the courier has counted itself: events by kind, their *delay* from happening to being kept and told,
    *subscribers* of the stream, *troubles* at present; and of each sink (by name) what waits for it, what it delivered,
    what it dropped, and whether it fails."""

    events: Mapping[str, int]
    delay: Spread
    subscribers: int
    troubles: int
    sinks: tuple[SinkState, ...] = ()


def exposition(state: DaemonState, counted: Counted, heard: Heard) -> str:
    """All metrics."""
    return "".join(_families(state, counted, heard))


def _families(state: DaemonState, counted: Counted, heard: Heard) -> Iterator[str]:
    tally, services = counted.tally, _bounded(counted.services)
    yield _family("info", "gauge", "What runs.", [({"version": state.version, "spawner": state.spawner}, 1)])
    yield _family("start_time_seconds", "gauge", "When the daemon started, in Unix time.", [({}, state.started)])
    roles = [role.value for role in Role]
    yield _family(
        "services", "gauge", "Running services by role.",
        [({"role": role}, sum(1 for one in counted.services if one.role.value == role)) for role in roles],
    )  # fmt: skip
    yield _family("services_unbound", "gauge", "Services whose address cannot be had.", [({}, state.unbound)])
    yield _family("services_paused", "gauge", "Services that are closed for a while (cps).", [({}, state.paused)])
    helpers = [({"process": one.name}, 1.0) for one in state.helpers]
    yield _family("helper_up", "gauge", "Processes of the daemon.", helpers)
    yield _family(
        "servers", "gauge", "Running servers, those included that wait for an answer.",
        [({"service": one.service}, one.servers) for one in services],
    )  # fmt: skip
    yield _family(
        "connections_served_total", "counter", "Connections that were admitted.",
        [({"service": one.service}, one.served) for one in services],
    )  # fmt: skip
    yield _family(
        "connections_refused_total", "counter", "Connections that were refused, trips of sensors apart.",
        [({"service": one.service, "reason": two.label}, two.count) for one in services for two in one.refused],
    )  # fmt: skip
    yield _family(
        "trips_total", "counter", "Touches of sensors.",
        [({"service": one.service}, one.trips) for one in services if one.role is Role.SENSOR],
    )  # fmt: skip
    yield _family("bans", "gauge", "Bans in force.", [({}, state.bans)])
    yield _family("queue_length", "gauge", "What waits.", [({"queue": one.label}, one.count) for one in tally.queues])
    yield _histogram("server_start_seconds", "From a connection to its server.", tally.start)
    yield _histogram("server_duration_seconds", "How long servers ran.", tally.duration)
    yield _histogram("event_delay_seconds", "From an event to its being kept and told.", heard.delay)
    yield _family(
        "events_total", "counter", "Events that the courier heard.",
        [({"kind": kind}, count) for kind, count in sorted(heard.events.items())],
    )  # fmt: skip
    yield _family("event_subscribers", "gauge", "Readers of the stream of events.", [({}, heard.subscribers)])
    yield _family("troubles", "gauge", "What is wrong at present.", [({}, heard.troubles)])
    for name, kind, text, value in SINKS:
        rows = [({"sink": one.name, "type": one.type}, float(value(one))) for one in heard.sinks]
        yield _family(name, kind, text, rows)


SINKS: tuple[tuple[str, str, str, Callable[[SinkState], int]], ...] = (
    ("sink_waiting", "gauge", "Events that wait for a sink.", lambda one: one.waiting),
    ("sink_delivered_total", "counter", "Events that a sink took.", lambda one: one.delivered),
    ("sink_dropped_total", "counter", "Events that a sink never got.", lambda one: one.dropped),
    ("sink_failing", "gauge", "Whether a sink fails at present.", lambda one: bool(one.failing)),
)


def _bounded(services: Iterable[ServiceTally]) -> list[ServiceTally]:
    """One row for each service id, and one for all ids beyond `SERVICES`. Ids need not be unique."""
    rows: dict[str, ServiceTally] = {}
    for one in services:
        name = one.service if one.service in rows or len(rows) < SERVICES else OTHERS
        known = rows.get(name)
        if known is None:
            rows[name] = replace(one, service=name)
        else:
            rows[name] = ServiceTally(
                name, known.role, known.servers + one.servers, known.served + one.served, known.trips + one.trips,
                _summed(known.refused, one.refused),
            )  # fmt: skip
    return list(rows.values())


def _summed(one: tuple[Count, ...], other: tuple[Count, ...]) -> tuple[Count, ...]:
    counts: dict[str, int] = {}
    for row in (*one, *other):
        counts[row.label] = counts.get(row.label, 0) + row.count
    return tuple(Count(label, count) for label, count in counts.items())


def _family(name: str, kind: str, text: str, rows: Iterable[tuple[Labels, float]]) -> str:
    lines = [f"sentinetd_{name}{_labels(labels)} {_number(value)}\n" for labels, value in rows]
    return "".join([*_head(name, kind, text), *lines]) if lines else ""


def _histogram(name: str, text: str, spread: Spread) -> str:
    lines = _head(name, "histogram", text)
    below = 0
    for bound, count in zip((*spread.bounds, float("inf")), spread.counts, strict=True):
        below += count
        lines.append(f"sentinetd_{name}_bucket{_labels({'le': _number(bound)})} {below}\n")
    lines += [f"sentinetd_{name}_sum {_number(spread.total)}\n", f"sentinetd_{name}_count {below}\n"]
    return "".join(lines)


def _head(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP sentinetd_{name} {text}\n", f"# TYPE sentinetd_{name} {kind}\n"]


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    value = value.encode("utf-8", "backslashreplace").decode()
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) else repr(value)
