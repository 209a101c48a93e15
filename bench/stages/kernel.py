"""Bans in the kernel: how many SYNs our nftables table refuses, and how soon a trip is in its set."""

from __future__ import annotations

import math
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from contenders import Running
from load import Workload, drive, measure_trips
from machine import BenchError, Site
from peers import Kind
from results import MILLISECONDS, PER_SECOND, TIMES
from rounds import Round, Stage
from sentinetd.daemon.loop import boottime
from sentinetd.errors import SentinetdError
from sentinetd.firewall import tables
from sentinetd.firewall.netfilter import Watch
from sentinetd.firewall.nftables import Nftables
from sentinetd.firewall.own_table import OwnTable
from sentinetd.model.address import Network
from sentinetd.model.settings import FirewallSettings
from stages.refusing import FIRST_INTRUDER, SENSOR

REFUSE_ADDRESS, REFUSE_PORT = "127.0.0.1", 4400  # where syn.c sends to
FIRST_BANNED = 0x7F400001  # 127.64.0.1, as syn.c has it
FIREWALL = '[firewall]\nenabled = true\nbackend = "nftables"\n'
BANS = (1_000, 60_000)
SYNS = 200_000
CLOSE = 1.0  # seconds of accepting and closing
WAITS = 100
REFUSED = "refuse in the kernel"
REFUSED_TIMES = "refuse in the kernel, to accept and close in C"
TO_KERNEL = "from trip to kernel set"
TRIPS = "trip a sensor, bans in the kernel"
NAMES = (REFUSED, REFUSED_TIMES, TO_KERNEL, TRIPS)
EVERY = 2
TAKES = 12.0
"""Seconds of a round, about."""


@contextmanager
def table_of_bans(maximum: int = 2_000_000) -> Iterator[Nftables]:
    """A table of our own in this network namespace. BenchError if the kernel has none."""
    table = OwnTable("bench")
    made = Nftables(table, FirewallSettings(), maximum, boottime)
    try:
        made.open()
    except SentinetdError as error:
        raise BenchError(f"no nftables here: {error}") from None
    try:
        yield made
    finally:
        table.remove()


def refusals(site: Site, bans: int, count: int) -> tuple[float, float]:
    """SYNs that the kernel refuses in a second, and connections that a program in C accepts and closes in one."""
    with ExitStack() as stack:
        made = stack.enter_context(table_of_bans())
        where = [REFUSE_ADDRESS, str(REFUSE_PORT)]
        closing = subprocess.Popen([site.program("loops"), "refuse", *where], stdout=subprocess.PIPE)
        stack.callback(closing.wait)
        stack.callback(closing.kill)
        assert closing.stdout is not None
        closing.stdout.readline()
        list(made.replace((Network(4, FIRST_BANNED + number, 32), math.inf) for number in range(bans)))
        words = [site.program("syn"), str(count), str(bans), str(REFUSE_PORT)]
        rate = count / float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
        said = drive(site.programs / "load", 32, [f"at={':'.join(where)}"], "-t", str(CLOSE))
        return rate, said["connections"] / said["seconds"]


def run(this: Round) -> None:
    """What is wanted; it is said where there is no nftables."""
    if this.number % EVERY:
        return
    try:
        if this.wanted(REFUSED) or this.wanted(REFUSED_TIMES):
            for bans in BANS:
                refused, closed = refusals(this.site, bans, SYNS)
                this.results.note(REFUSED, f"nftables, {bans:,} bans", refused, PER_SECOND)
                this.results.note(REFUSED_TIMES, f"nftables, {bans:,} bans", refused / closed, TIMES)
            this.results.note(REFUSED, "accept and close in C", closed, PER_SECOND)
        if this.wanted(TO_KERNEL) or this.wanted(TRIPS):
            _daemons(this)
    except BenchError as error:
        this.results.remark(f"Bans in the kernel were not measured: {error}")


def _daemons(this: Round) -> None:
    """The whole daemon: from trip to kernel set, and a flood of trips with and without bans in the kernel."""
    workload = Workload(name=TRIPS, door=SENSOR, source=FIRST_INTRUDER)
    for name, settings in this.in_turn([("sentinetd", ""), ("sentinetd with [firewall]", FIREWALL)]):
        directory = this.site.work / f"{this.number}-kernel-{len(settings)}"
        running = Running(Kind.SENTINETD, [SENSOR], this.site, directory, name=name, settings=settings)
        try:
            if settings:
                for wait in to_kernel(running, WAITS):
                    this.results.note(TO_KERNEL, name, wait, MILLISECONDS)
            hung_up, _kept = measure_trips(this.load, workload, running, this.plan.trips)
            this.results.add(TRIPS, name, hung_up)
        finally:
            running.stop()


def to_kernel(running: Running, count: int) -> list[float]:
    """Seconds from connecting to the sensor until the kernel tells that the ban is in its set."""
    watch = Watch(0)
    waits = []
    for number in range(count):
        with socket.socket() as client:
            client.bind((f"198.19.250.{number + 1}", 0))
            begun = time.perf_counter()
            client.connect((running.address, SENSOR.port))
            while tables.NEW_ELEMENTS not in [one.kind for one in watch.drain() or ()]:
                pass
            waits.append(time.perf_counter() - begun)
    watch.close()
    return waits


STAGE = Stage(
    name="bans in the kernel",
    names=NAMES,
    first=frozenset({REFUSED, REFUSED_TIMES, TO_KERNEL}),
    run=run,
    takes=lambda this: 0.0 if this.number % EVERY else TAKES,
)
