"""Metrics as Prometheus' own tools and parser read them."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from control.desk import AT, GivenDesk
from rig.trips import tables
from sentinetd.control.counts import Counts
from sentinetd.control.metrics import OTHERS, SERVICES, exposition
from sentinetd.model.events import BansEnded
from sentinetd.model.state import Count, Role, ServiceTally
from sentinetd.model.trip_run import TripTable

CONTRIB = Path(__file__).parents[2] / "contrib"
GOLDEN = Path(__file__).with_name("golden") / "metrics.txt"


def shown(services: tuple[ServiceTally, ...] | None = None) -> str:
    desk = GivenDesk()
    state, counted = asyncio.run(desk.status()), asyncio.run(desk.tally())
    counts = Counts(lambda: AT)
    counts.tell(BansEnded(AT - 0.004, 1, 0))
    heard = replace(counts.heard(), subscribers=2, troubles=1, sinks=tuple(desk.sinks()))
    return exposition(state, counted if services is None else replace(counted, services=services), heard)


def test_what_it_looks_like() -> None:
    assert shown() == GOLDEN.read_text()


@pytest.mark.parametrize("trips", [pytest.param(one, id=what) for what, one in tables().items()])
def test_trips_told_together_count_like_each_told_alone(trips: TripTable) -> None:
    alone, together = Counts(lambda: AT + 0.004), Counts(lambda: AT + 0.004)
    alone.tell(*trips.events())
    together.tell_trips(trips)
    one, other = alone.heard(), together.heard()
    assert one.events == other.events == {"ban.imposed": len(trips), "sensor.tripped": len(trips)}
    assert (one.delay.bounds, one.delay.counts) == (other.delay.bounds, other.delay.counts)
    assert one.delay.total == pytest.approx(other.delay.total)


def test_every_line_is_understood() -> None:
    families = {family.name: family for family in text_string_to_metric_families(shown())}
    refused = {sample.labels["reason"]: sample.value for sample in families["sentinetd_connections_refused"].samples}
    assert refused == {"address": 1.0, "banned": 1.0}
    assert families["sentinetd_trips"].samples[0].labels == {"service": 'od"d\\\nname'}
    start = {sample.labels.get("le"): sample.value for sample in families["sentinetd_server_start_seconds"].samples}
    assert (start["0.1"], start["1"], start["+Inf"]) == (3.0, 5.0, 6.0)
    assert all(family.documentation for family in families.values())


def test_promtool_finds_no_fault() -> None:
    done = subprocess.run(["promtool", "check", "metrics"], input=shown(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_services_beyond_the_bound_are_one() -> None:
    many = tuple(ServiceTally(f"s{n}", Role.SERVER, 1, 2, 0, (Count("load", 3),)) for n in range(SERVICES + 10))
    families = {family.name: family for family in text_string_to_metric_families(shown(many))}
    served = {sample.labels["service"]: sample.value for sample in families["sentinetd_connections_served"].samples}
    assert len(served) == SERVICES + 1
    assert served[OTHERS] == 20.0
    refused = {one.labels["service"]: one.value for one in families["sentinetd_connections_refused"].samples}
    assert refused[OTHERS] == 30.0


def test_the_example_rules_are_sound() -> None:
    rules = CONTRIB / "prometheus" / "sentinetd.rules.yml"
    done = subprocess.run(["promtool", "check", "rules", str(rules)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["prometheus/sentinetd.rules.yml", "grafana/sentinetd.json"])
def test_examples_ask_for_metrics_that_there_are(name: str) -> None:
    text = (CONTRIB / name).read_text()
    if name.endswith(".json"):
        text = " ".join(target["expr"] for panel in json.loads(text)["panels"] for target in panel["targets"])
    asked = set(re.findall(r"\bsentinetd_\w+", text))
    there = {sample.name for family in text_string_to_metric_families(shown()) for sample in family.samples}
    assert asked
    assert asked <= there
