"""Serving: a program is started for every connection, as whom and for how many clients at once."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from doors import SERVICE_LOG, Door
from load import Workload
from machine import HERE
from peers import Kind
from rounds import Round, Stage, seconds_of

HELLO = 6
"""Bytes that the servers say."""
CLIENTS = (1, 32, 256)
LOGGED = Door(
    name="logged",
    port=4120,
    server=("{programs}/hello",),
    user="nobody",
    lines=(f"log_type = FILE {{directory}}/{SERVICE_LOG}", "log_on_success = HOST PID DURATION EXIT"),
)
SERVERS = {
    "hello": ("{programs}/hello",),
    "/bin/echo": ("/bin/echo", "hello"),
    "a Python script": ("{programs}/hello.py",),
}
TIMES = {"a Python script": 1.5}
"""What takes longer to be measured."""


def furnished(door: Door, programs: Path) -> Door:
    """The door with the paths of its server."""
    return replace(door, server=tuple(word.format(programs=programs) for word in door.server))


def python() -> str | None:
    """An interpreter that nobody may run: ours may stand in a home directory. None if there is none."""
    for path in ("/usr/bin/python3", os.path.realpath(sys.executable)):
        with suppress(OSError):
            if subprocess.run([path, "-I", "-c", ""], user="nobody", cwd="/", check=False).returncode == 0:
                return path
    return None


def _doors() -> dict[str, Door]:
    """By what a workload says after "serve"."""
    doors = {}
    port = 4100
    for name, server in SERVERS.items():
        for user in ("the same user", "nobody", "nobody with limits and nice"):
            if user != "nobody" or name == "hello":
                account = "root" if user == "the same user" else "nobody"
                doors[f"{name} as {user}"] = Door(
                    name=f"serve-{port}", port=port, server=server, user=account, limited="limits" in user
                )
                port += 1
    return doors


DOORS = _doors()


def clients_in_words(count: int) -> str:
    """As the names of workloads have it."""
    return "1 client" if count == 1 else f"{count} clients"


def _every(what: str, clients: int) -> int:
    """What has a target is measured in each round; of the rest, what is nearest to it more often than others."""
    if what == "hello as nobody" and clients <= 32:
        return 1
    return 2 if what.startswith("hello") or clients == 32 else 3


WORKLOADS = (
    *(
        Workload(
            name=f"serve {what}, {clients_in_words(clients)}",
            door=door,
            clients=clients,
            expected=HELLO,
            every=_every(what, clients),
            times=TIMES.get(what.partition(" as ")[0], 1.0) * (1.5 if clients > 32 else 1.0),
        )
        for what, door in DOORS.items()
        for clients in CLIENTS
    ),
    Workload(name="serve hello and log, 32 clients", door=LOGGED, expected=HELLO, logged="START: ", every=2),
)
FIRST = frozenset({"serve hello as nobody, 1 client", "serve hello as nobody, 32 clients"})


def run(this: Round) -> None:
    """Measure what is wanted; a contender is started with the services of that only."""
    workloads = [workload for workload in WORKLOADS if this.has(workload)]
    if interpreter := python():
        script = this.site.programs / "hello.py"
        script.write_text(f"#!{interpreter} -I\n{(HERE / 'programs' / 'hello.py').read_text()}")
        script.chmod(0o755)
    else:
        workloads = [workload for workload in workloads if workload.door.server != SERVERS["a Python script"]]
        this.results.remark(
            "There is no Python that nobody may run: no script was measured; on Debian: apt install python3"
        )
    wanted = {workload.door.port for workload in workloads}
    doors = [furnished(door, this.site.programs) for door in (*DOORS.values(), LOGGED) if door.port in wanted]
    with this.running("spawning", doors) as started:
        this.measure_all(workloads, started)
    if Kind.INETUTILS in this.kinds:
        this.results.remark(
            "inetutils-inetd sleeps for a second whenever a child ends while it waits for a connection, and listens "
            "with a queue of 10: it takes part where one client is enough."
        )


STAGE = Stage(
    name="serving",
    names=tuple(workload.name for workload in WORKLOADS),
    first=FIRST,
    run=run,
    takes=lambda this: seconds_of(WORKLOADS, this),
)
