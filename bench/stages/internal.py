"""What the daemons do themselves: echo, daytime and chargen; echo by datagram; and a server that waits, for TFTP."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import processes
from contenders import Running
from doors import INTERNAL_PORTS, Door
from load import Sample, Workload, drive, measure, sampled, target
from rounds import OVERHEAD, START, Round, Stage, seconds_of, takes_part

SAID = 64
CHARGEN_BYTES = 65_536
DAYTIME_LINE = 26
"""Bytes of a daytime: ctime(3) has 24, and CR LF; xinetd's own form is as long."""
TFTPD = "/usr/sbin/in.tftpd"
FILE = "greeting"
FILE_BYTES = 6
FIRST_ASKER = "198.19.128.1"
DATAGRAMS = 2_000
"""sentinetd answers 50 datagrams of one source a second, and 4,096 sources: so each comes from another one."""

ECHO, DAYTIME, CHARGEN = (Door(name=name, port=INTERNAL_PORTS[name], internal=name) for name in INTERNAL_PORTS)
STREAMS = (
    Workload(name="internal echo", door=ECHO, words=(f"say={SAID}",)),
    Workload(name="internal daytime", door=DAYTIME, expected=DAYTIME_LINE),
    Workload(name="internal chargen, 64 KiB", door=CHARGEN, words=(f"enough={CHARGEN_BYTES}",), every=2),
    Workload(name="internal echo, 1 client", door=ECHO, clients=1, words=(f"say={SAID}",), every=2),
    Workload(name="internal daytime, 1 client", door=DAYTIME, clients=1, expected=DAYTIME_LINE, every=2),
)
DATAGRAM_ECHO = Workload(
    name="datagram echo, 1 client",
    door=replace(ECHO, name="echo-dgram", datagram=True),
    clients=1,
    source=FIRST_ASKER,
    words=("datagram", f"say={SAID}", "distinct"),
    every=2,
)
TFTP = Workload(
    name="tftp by a waiting server, 1 client",
    door=Door(name="tftp", port=69, server=(TFTPD,), datagram=True, wait=True),
    clients=1,
    expected=FILE_BYTES,
    words=(f"tftp=/{FILE}",),
    every=2,
)
WORKLOADS = (*STREAMS, DATAGRAM_ECHO, TFTP)


def run(this: Round) -> None:
    """Measure what is wanted."""
    served = this.site.work / "tftp"
    served.mkdir(mode=0o755, exist_ok=True)
    (served / FILE).write_bytes(b"hello\n")
    doors = [ECHO, DAYTIME, CHARGEN, DATAGRAM_ECHO.door]
    workloads = [workload for workload in WORKLOADS if this.has(workload)]
    if not Path(TFTPD).exists():
        workloads = [workload for workload in workloads if workload is not TFTP]
        this.results.remark(f"{TFTPD} is not there: {TFTP.name} was not measured; on Debian: apt install tftpd-hpa")
    else:
        doors.append(replace(TFTP.door, server=(TFTPD, "-s", "-t", "0", str(served))))
    with this.running("internal", doors) as started:
        for turn, workload in enumerate(workloads):
            for running in this.in_turn(started, turn):
                if takes_part(running.kind, workload):
                    sample = _measured(this, workload, running)
                    this.results.add(workload.name, running.name, sample)


def _measured(this: Round, workload: Workload, running: Running) -> Sample:
    """A fixed number of datagrams; streams for some time."""
    if workload is DATAGRAM_ECHO:
        running.await_quiet()
        before = processes.cpu(running.roles)
        said = drive(this.load, 1, [target(workload, running)], "-n", str(DATAGRAMS))
        running.await_quiet()
        return sampled(said, processes.cpu(running.roles) - before)
    return measure(this.load, workload, running, this.plan.seconds)


STAGE = Stage(
    name="internal services",
    names=tuple(workload.name for workload in WORKLOADS),
    first=frozenset({"internal echo", "internal daytime"}),
    run=run,
    takes=lambda this: seconds_of(WORKLOADS, this) + (START + OVERHEAD),
)
