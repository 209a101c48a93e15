"""The courier as a process: what it restores, writes, answers, survives and gives up."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rig.deadline import wait_for
from rig.trips import flood
from sentinetd.daemon.channel import Channel, ChannelClosed, encode
from sentinetd.daemon.clerk import BATCH, Clerk
from sentinetd.daemon.courier import Options, Thread, read_options
from sentinetd.daemon.messages import (
    DAEMON_LOG,
    FROM_COURIER,
    TO_COURIER,
    Farewell,
    FileSink,
    Greeting,
    Ready,
    Restored,
    RestoredExemptions,
    ServiceGone,
    ServiceLog,
    SinkGone,
    SyslogSink,
    Written,
)
from sentinetd.daemon.newborn import channel_pair, tell
from sentinetd.errors import UsageError
from sentinetd.model import events as ev
from sentinetd.model.address import BITS, Address, Network
from sentinetd.model.ban import BanRun, Origin
from sentinetd.model.exemption import Exemption
from sentinetd.model.noun import replace
from sentinetd.model.service import OnFailure, OnSuccess
from sentinetd.model.verdict import Reason
from sentinetd.report.journal import Journal
from sentinetd.store.keeper import Keeper
from sentinetd.store.sqlite import Store

NOBODY = 65534
SERVICE_LOG = 1
WITHIN = 20.0


def spelled_out(run: BanRun) -> Iterator[tuple[Network, float]]:
    """Each network of *run* with its end."""
    for prefix, until in run.rows():
        yield Network(run.version, prefix << BITS[run.version] - run.length, run.length, run.scope), until


class Guard:
    """The guard's end of a real courier on *state*, with a log of the daemon and one of service 7."""

    def __init__(self, state: Path, logs: Path, *options: str, groups: Sequence[int] = ()) -> None:
        self.logs = logs
        self.heard: list[Any] = []
        self.sequence = 0
        ours, theirs = channel_pair()
        self.raw = ours
        self.channel = Channel(ours, FROM_COURIER)
        words = ["--channel", str(theirs.fileno())]
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "sentinetd.daemon.courier", *words],
            pass_fds=[theirs.fileno()],
            extra_groups=groups or None,
            stderr=subprocess.PIPE,
            text=True,
        )
        theirs.close()
        tell(ours, ["--state", str(state), *options])

    def listen(self) -> bool:
        """Hear what has come, waiting a moment for the first; False at the end."""
        select.select([self.raw], [], [], 0.05)
        try:
            while (packet := self.channel.receive()) is not None:
                self.heard += packet[1]
        except ChannelClosed:
            return False
        return True

    def await_message(self, kind: type[Any]) -> Any:
        """The first message of *kind* that was heard."""

        def found() -> Any:
            self.listen()
            return next((message for message in self.heard if type(message) is kind), None)

        return wait_for(found, f"{kind.__name__} from the courier, heard {self.heard}", WITHIN)

    def bans(self) -> dict[Network, float]:
        """What it restored, all of it, with the ends."""
        self.await_message(Ready)
        runs = [message.run for message in self.heard if type(message) is Restored]
        return {network: until for run in runs for network, until in spelled_out(run)}

    @property
    def written(self) -> int:
        """Up to where it has answered."""
        return max((message.sequence for message in self.heard if type(message) is Written), default=0)

    def tell(self, *messages: Any, descriptors: Sequence[int] = ()) -> int:
        """Send *messages* as one packet; gives the number of the last. Waits for room."""
        self.sequence += len(messages)
        while not self.channel.send(self.sequence, messages, descriptors):
            self.listen()
        return self.sequence

    def settle(self) -> None:
        """Wait until everything told is answered."""
        wait_for(lambda: self.listen() and self.written >= self.sequence, "an answer to all that was told", WITHIN)

    def open_log(self, sink: int, name: str) -> Path:
        """Have *sink* be the file *name*."""
        path = self.logs / name
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self.tell(FileSink(sink, name, 0, 0), descriptors=[descriptor])
        os.close(descriptor)
        return path

    def introduce(self) -> None:
        """What a guard says first."""
        self.tell(Greeting("sentinetd", 5))
        self.open_log(DAEMON_LOG, "daemon")
        self.open_log(SERVICE_LOG, "service")
        self.tell(ServiceLog(7, SERVICE_LOG, tuple(OnSuccess), tuple(OnFailure)))

    def log(self, name: str = "daemon") -> list[str]:
        """Lines of the log *name*, without their time."""
        return [line.split(" ", 1)[1] for line in (self.logs / name).read_text().splitlines()]

    def end(self) -> int:
        """Go, and see the courier's exit status."""
        self.channel.close()
        return self.process.wait(WITHIN)

    def close(self) -> None:
        self.channel.close()
        self.process.kill()
        with self.process:
            pass


Begin = Callable[..., Guard]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    directory = tmp_path / "state"
    directory.mkdir()
    return directory


@pytest.fixture
def begin(state: Path, tmp_path: Path) -> Iterator[Begin]:
    """Starts a courier, as often as it is called; all end with the test."""
    with contextlib.ExitStack() as stack:

        def started(*options: str, directory: Path = state, groups: Sequence[int] = ()) -> Guard:
            made = Guard(directory, tmp_path, *options, groups=groups)
            stack.callback(made.close)
            return made

        yield started


def trip(number: int, at: float | None = None) -> tuple[ev.SensorTripped, ev.BanImposed]:
    """A trip by the *number*th address and its ban of an hour."""
    at = time.time() if at is None else at
    source = Address.parse(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    return (
        ev.SensorTripped(at, 7, "irc", source, 4000, 3600.0, ""),
        ev.BanImposed(at, Network.of(source, 32), at + 3600, "irc", Origin.SENSOR),
    )


def banned_in_log(lines: Sequence[str]) -> set[str]:
    """The addresses of the Adding lines."""
    return {line.split("Adding ", 1)[1].split()[0] for line in lines if "Adding" in line}


def test_trip_is_written_kept_and_answered(begin: Begin, state: Path) -> None:
    guard = begin()
    assert guard.await_message(Ready) == Ready("")
    guard.introduce()
    told = trip(1)
    guard.tell(*told)
    guard.settle()
    adding = "Adding 10.0.0.1 to the global_no_access list for 60 minutes, sensor irc"
    assert guard.log() == [f"sentinetd[5]: CRITICAL: 5 {{process_sensor}} {adding}"]
    assert guard.log("service") == ["FAIL: irc address from=10.0.0.1"]
    assert guard.end() == 0
    again = begin()
    assert again.bans() == {told[1].network: told[1].until}


def test_a_flood_of_trips_is_written_in_its_place_and_kept(begin: Begin) -> None:
    guard = begin()
    guard.introduce()
    now = time.time()
    trips = [replace(one, at=now) for one in flood(300)]
    lifted = ev.BanLifted(now, trips[0].network)
    guard.tell(ev.Notice(now, ev.Level.INFO, "before"), *trips, ev.Notice(now, ev.Level.INFO, "after"), lifted)
    guard.settle()
    lines = guard.log()
    assert (lines[0], lines[-2]) == ("sentinetd[5]: INFO: before", "sentinetd[5]: INFO: after")
    adding = "Adding 198.18.0.7 to the global_no_access list for 60 minutes, sensor trap"
    assert lines[8] == f"sentinetd[5]: CRITICAL: 5 {{process_sensor}} {adding}"
    sources = [one.source.text for one in trips]
    assert [line.split("Adding ")[1].split()[0] for line in lines[1:-2]] == sources
    assert guard.log("service") == [f"FAIL: trap address from={source}" for source in sources]
    guard.end()
    assert begin().bans() == {one.network: one.at + one.span for one in trips[1:]}


def test_lifted_and_evicted_bans_are_gone(begin: Begin) -> None:
    guard = begin()
    guard.introduce()
    bans = [trip(number)[1] for number in range(4)]
    now = time.time()
    guard.tell(*bans, ev.BanLifted(now, bans[1].network), ev.BanEvicted(now, bans[2].network), bans[1])
    guard.settle()
    guard.end()
    assert set(begin().bans()) == {bans[0].network, bans[1].network, bans[3].network}


def test_ban_for_ever_and_ended_ban(begin: Begin) -> None:
    guard = begin()
    guard.introduce()
    now = time.time()
    net, other = Network.parse("2001:db8::/64"), Network.parse("192.0.2.1")
    guard.tell(
        ev.BanImposed(now, net, math.inf, "", Origin.OPERATOR),
        ev.BanImposed(now - 100, other, now - 1, "irc", Origin.SENSOR),
    )
    guard.settle()
    guard.end()
    again = begin()
    assert again.bans() == {net: math.inf}
    assert [message.run.kept for message in again.heard if type(message) is Restored] == [True]


def test_farewell(begin: Begin) -> None:
    guard = begin()
    guard.introduce()
    guard.tell(*trip(1), ev.DaemonStopping(time.time(), "SIGTERM"), Farewell())
    assert guard.process.wait(WITHIN) == 0
    guard.listen()
    assert guard.written == guard.sequence
    assert guard.log()[-1] == "sentinetd[5]: WARNING: Exiting..."


def test_what_had_come_when_the_guard_died_is_written(begin: Begin, state: Path) -> None:
    guard = begin()
    guard.await_message(Ready)
    guard.process.send_signal(signal.SIGSTOP)
    guard.introduce()
    numbers = range(200)
    for number in numbers:
        guard.tell(*trip(number))
    guard.channel.close()
    guard.process.send_signal(signal.SIGCONT)
    assert guard.process.wait(WITHIN) == 0
    assert len(banned_in_log(guard.log())) == len(numbers)
    assert len(begin().bans()) == len(numbers)


def test_guard_that_died_with_answers_unread(begin: Begin) -> None:
    guard = begin()
    guard.introduce()
    guard.tell(*trip(1))
    wait_for(lambda: select.select([guard.raw], [], [], 0)[0], "an answer", WITHIN)
    guard.process.send_signal(signal.SIGSTOP)
    guard.tell(*trip(2))
    guard.channel.close()
    guard.process.send_signal(signal.SIGCONT)
    assert guard.process.wait(WITHIN) == 0
    assert banned_in_log(guard.log()) == {"10.0.0.1", "10.0.0.2"}


@pytest.mark.parametrize("round_number", range(10))
def test_no_told_ban_is_lost_when_all_are_killed(begin: Begin, round_number: int, tmp_path: Path) -> None:
    guard = begin()
    guard.await_message(Ready)
    guard.introduce()
    sent = {}
    enough = (500, 40, 900, 3, 1500, 100, 250, 700, 10, 1200)[round_number]
    while guard.written < enough:  # it is killed with more on the way, at any point of its work
        pairs = [trip(len(sent) + more) for more in range(30)]
        last = guard.tell(*(event for pair in pairs for event in pair))
        sent.update({last - 60 + 2 * place + 2: str(pair[1].network) for place, pair in enumerate(pairs)})
        if len(sent) % (30 * (round_number + 1)) == 0:
            guard.listen()
    guard.process.kill()
    guard.process.wait()
    while guard.listen():
        pass
    answered = {network for number, network in sent.items() if number <= guard.written}
    logged = banned_in_log((tmp_path / "daemon").read_text().rpartition("\n")[0].splitlines())
    kept = set(map(str, begin().bans()))
    assert len(answered) >= enough // 2 - 10
    assert answered <= kept, "answered, not kept"
    assert logged <= kept, "in the log, not kept"


def test_successor_takes_the_store_over_when_the_predecessor_dies(begin: Begin) -> None:
    first = begin()
    first.await_message(Ready)
    first.introduce()
    first.tell(*trip(1))
    first.settle()
    first.process.send_signal(signal.SIGSTOP)
    second = begin()
    second.introduce()
    wait_for(
        lambda: Path(f"/proc/{second.process.pid}/comm").read_text() == "sentinetd-couri\n", "a second courier", WITHIN
    )
    assert not any(type(message) is Ready for message in second.heard)
    first.process.kill()
    assert set(map(str, second.bans())) == {"10.0.0.1"}
    assert second.await_message(Ready) == Ready("")


def test_damaged_store_is_told_and_moved_aside(begin: Begin, state: Path) -> None:
    (state / "bans.sqlite").write_bytes(b"damaged" * 1000)
    guard = begin()
    trouble = guard.await_message(Ready).trouble
    assert "file is not a database" in trouble
    guard.introduce()
    guard.tell(*trip(1))
    guard.settle()
    (aside,) = state.glob("bans.sqlite.broken-*")
    assert aside.read_bytes() == b"damaged" * 1000
    assert str(aside) in trouble
    guard.end()
    assert len(begin().bans()) == 1


def test_required_store_that_is_damaged_stays_in_place(begin: Begin, state: Path) -> None:
    (state / "bans.sqlite").write_bytes(b"damaged" * 1000)
    guard = begin("--required")
    assert "file is not a database" in guard.await_message(Ready).trouble
    assert guard.end() == 0
    assert (state / "bans.sqlite").read_bytes() == b"damaged" * 1000


def test_newer_store_is_left_alone_and_logs_are_written(begin: Begin, state: Path) -> None:
    with sqlite3.connect(state / "bans.sqlite") as database:
        database.execute("PRAGMA user_version = 9")
    database.close()
    guard = begin()
    assert "has version 9" in guard.await_message(Ready).trouble
    guard.introduce()
    guard.tell(*trip(1))
    guard.settle()
    assert banned_in_log(guard.log()) == {"10.0.0.1"}


def test_directory_that_cannot_be_used_is_tried_again(begin: Begin, tmp_path: Path) -> None:
    directory = tmp_path / "later"
    guard = begin(directory=directory)
    assert guard.await_message(Ready).trouble == f"{directory}/lock: No such file or directory"
    guard.introduce()
    guard.tell(*trip(1))
    guard.settle()
    assert banned_in_log(guard.log()) == {"10.0.0.1"}
    directory.mkdir()
    wait_for(lambda: guard.listen() and guard.heard.count(Ready("")) == 1, "a store that works", WITHIN)
    guard.tell(*trip(2))
    guard.settle()
    assert any("store: works again, all bans are kept" in line for line in guard.log())
    guard.end()
    assert set(map(str, begin(directory=directory).bans())) == {"10.0.0.1", "10.0.0.2"}


MOUNT_AND_RUN = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS = 0x20000
if libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, 0x44000, None):  # our own mounts, seen by nobody else
    sys.exit("unshare")
if libc.mount(b"tmpfs", sys.argv[1].encode(), b"tmpfs", 0, b"size=320k"):
    sys.exit("mount")
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system of its own: needs root")
def test_full_disk_is_told_once_and_mended_and_no_ban_is_lost(
    begin: Begin, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = subprocess.Popen

    def mounted(command: list[str], **more: Any) -> subprocess.Popen[str]:
        return plain([sys.executable, "-c", MOUNT_AND_RUN, str(state), *command[1:]], **more)

    monkeypatch.setattr(subprocess, "Popen", mounted)
    guard = begin()
    assert guard.await_message(Ready) == Ready("")
    guard.introduce()
    inside = Path(f"/proc/{guard.process.pid}/root{state}")
    ballast = inside / "ballast"
    with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    count = 0
    while not any("store: " in line for line in guard.log()):
        guard.tell(*(event for number in range(count, count + 60) for event in trip(number)))
        count += 60
        guard.settle()
        assert count < 60_000
    guard.tell(*trip(count))
    guard.settle()
    (told,) = (line for line in guard.log() if "store: " in line)
    assert "CRITICAL" in told
    assert "full; trying again in 0.5 seconds" in told
    assert len(banned_in_log(guard.log())) == count + 1, "logs go on"
    ballast.unlink()
    wait_for(lambda: any("works again" in line for line in guard.log()), "a mended store", WITHIN)
    for name in ("bans.sqlite", "bans.sqlite-wal"):
        shutil.copy(inside / name, tmp_path / name)
    with sqlite3.connect(tmp_path / "bans.sqlite") as database:
        assert database.execute("SELECT count(*) FROM bans").fetchone() == (count + 1,)
    database.close()


def test_malformed_messages_are_told_and_dropped(begin: Begin) -> None:
    guard = begin()
    guard.introduce()
    guard.raw.send(b"nonsense")
    guard.raw.send(encode(guard.sequence, [Written(1)]))
    guard.tell(FileSink(9, "without a file", 0, 0), ev.ServiceResumed(time.time(), "ftp"))
    reading, writing = os.pipe()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [writing]))]
    guard.raw.sendmsg([encode(guard.sequence, [Greeting("sentinetd", 5)])], rights)
    guard.tell(SyslogSink(8, "local8", "info"))
    guard.settle()
    assert [line.partition("ERROR: ")[2] for line in guard.log()] == [
        "a message of the guard was dropped: not JSON: Expecting value: line 1 column 1 (char 0)",
        "a message of the guard was dropped: a message of kind 'Written' may not come here",
        "a message of the guard was dropped: 0 descriptors for another number of files",
        "Activating service ftp",
        "a message of the guard was dropped: 1 descriptors for another number of files",
        "a message of the guard was dropped: no facility and level local8 info in syslog(3)",
    ]
    os.close(writing)
    assert os.read(reading, 1) == b"", "the descriptor was closed"
    os.close(reading)


def test_logs_change_between_events_of_one_packet(begin: Begin) -> None:
    guard = begin()
    guard.introduce()
    at = time.time()
    new = guard.logs / "new"
    descriptor = os.open(new, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    source = Address.parse("192.0.2.1")
    guard.tell(
        ev.ServerStarted(at, 7, "ftp", source, 1, 1),
        FileSink(SERVICE_LOG, "common", 0, 0),
        ev.ServerStarted(at, 7, "ftp", source, 1, 2),
        SinkGone(SERVICE_LOG),
        ev.ServerStarted(at, 7, "ftp", source, 1, 3),
        descriptors=[descriptor],
    )
    os.close(descriptor)
    guard.settle()
    assert guard.log("service") == ["START: ftp pid=1 from=192.0.2.1"]
    assert guard.log("new") == ["START: ftp pid=2 from=192.0.2.1"]


def test_service_that_is_gone_logs_no_more(begin: Begin) -> None:
    guard = begin()
    guard.introduce()
    guard.tell(trip(1)[0], ServiceGone(7), trip(2)[0])
    guard.settle()
    assert guard.log("service") == ["FAIL: irc address from=10.0.0.1"]


def test_signals_of_the_terminal_are_not_for_it(begin: Begin) -> None:
    guard = begin()
    guard.await_message(Ready)
    guard.introduce()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        guard.process.send_signal(number)
    guard.tell(*trip(1))
    guard.settle()
    assert guard.end() == 0


def held_by_a_channel(message: Sequence[Any]) -> int:
    """How many records the kernel keeps of packets with *message* that nobody reads."""
    ours, theirs = channel_pair()
    channel = Channel(ours, ())
    held = 0
    while channel.send(1, message):
        held += len(message)
    ours.close()
    theirs.close()
    return held


def test_memory_stays_bounded_while_the_disk_hangs(begin: Begin) -> None:
    """A log that takes nothing (a pipe that nobody reads) holds the courier up; the guard's channel fills."""
    guard = begin()
    guard.await_message(Ready)
    reading, writing = os.pipe()
    guard.tell(FileSink(DAEMON_LOG, "daemon", 0, 0), descriptors=[writing])
    os.close(writing)
    at = time.time()
    sent = 0
    message = [ev.Notice(at, ev.Level.INFO, "x" * 200)] * 100
    deadline = time.monotonic() + WITHIN
    while select.select([], [guard.raw], [], 1.0)[1]:
        guard.channel.send(1, message)
        sent += len(message)
        assert time.monotonic() < deadline
    assert sent < held_by_a_channel(message) + 3 * BATCH, "what it does not write it does not take"
    os.close(reading)


def test_long_queue_is_answered_in_batches(begin: Begin) -> None:
    guard = begin()
    guard.await_message(Ready)
    guard.open_log(DAEMON_LOG, "daemon")
    guard.settle()
    guard.process.send_signal(signal.SIGSTOP)
    records = [ev.ReloadStarted(0.0)] * 1000
    while guard.channel.send(guard.sequence + len(records), records):
        guard.sequence += len(records)
    assert guard.sequence > 2 * BATCH
    guard.process.send_signal(signal.SIGCONT)
    guard.settle()
    answers = [message.sequence for message in guard.heard if type(message) is Written]
    assert 1 < answers[1] <= BATCH + len(records)
    assert len(guard.log()) == guard.sequence - 1


def test_many_bans_are_restored_in_few_messages(begin: Begin) -> None:
    guard = begin()
    guard.introduce()
    until = time.time() + 3600
    bans = [ban for number in range(5000) for ban in (Network(4, number, 32), Network(6, number << 64, 64))]
    for first in range(0, len(bans), 100):
        part = bans[first : first + 100]
        guard.tell(*(ev.BanImposed(until - 3600, ban, until, "irc", Origin.SENSOR) for ban in part))
    guard.settle()
    guard.end()
    again = begin()
    assert again.bans() == dict.fromkeys(bans, until)
    assert sum(type(message) is Restored for message in again.heard) < 10


def test_a_guard_that_knows_all_bans_is_not_told_them_again(begin: Begin) -> None:
    guard = begin()
    guard.introduce()
    guard.tell(*trip(1))
    guard.settle()
    guard.end()
    warm = begin("--warm")
    assert warm.bans() == {}
    warm.introduce()
    warm.tell(*trip(2))
    warm.settle()
    warm.end()
    assert set(map(str, begin().bans())) == {"10.0.0.1", "10.0.0.2"}


def test_exemptions_and_a_sweep_are_kept(begin: Begin) -> None:
    guard = begin()
    guard.introduce()
    now = time.time()
    first, second, third = (Network.parse(f"192.0.2.{number}") for number in (1, 2, 3))
    guard.tell(
        *trip(1),
        ev.ExemptionAdded(now, first, math.inf, "joe", "ours"),
        ev.ExemptionAdded(now, second, now + 3600, "joe", ""),
        ev.ExemptionAdded(now, third, now + 3600, "joe", ""),
        ev.ExemptionEnded(now, second, "joe"),
        ev.BansCleared(now, 1, "joe"),
        *trip(2),
    )
    guard.settle()
    guard.end()
    again = begin()
    assert set(map(str, again.bans())) == {"10.0.0.2"}
    exemptions = [one for message in again.heard if type(message) is RestoredExemptions for one in message.exemptions]
    assert exemptions == [Exemption(first, now, math.inf, "joe", "ours"), Exemption(third, now, now + 3600, "joe", "")]
    assert type(again.heard[0]) is RestoredExemptions, "before the bans"


def test_syslog_that_is_slow_gets_everything_when_it_reads(state: Path, tmp_path: Path) -> None:
    path = tmp_path / "log"
    messages = 700  # more than the kernel queues for a server

    async def told() -> list[bytes]:
        ours, theirs = channel_pair()
        guard = Channel(ours, FROM_COURIER)
        thread = Thread()
        keeper = Keeper(Store(str(state)), thread, time.time, time.monotonic)
        journal = Journal(DAEMON_LOG, time.time, "sentinetd", 5, str(path))
        carrying = asyncio.create_task(Clerk(Channel(theirs, TO_COURIER), keeper, journal).run())
        guard.send(1, [SyslogSink(DAEMON_LOG, "daemon", "")])
        notices = [ev.Notice(time.time(), ev.Level.INFO, "x")] * 100
        for number in range(messages // 100):
            guard.send(2 + number, notices)
        heard: list[Any] = []
        async with asyncio.timeout(WITHIN):
            while Written(1 + messages // 100) not in heard:  # all is taken, and the server is not there yet
                heard += (guard.receive() or (0, [], []))[1]
                await asyncio.sleep(0)
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
                server.bind(str(path))
                server.setblocking(False)
                got: list[bytes] = []
                while sum(line.endswith(b": x") for line in got) < messages:
                    got.append(await asyncio.get_running_loop().sock_recv(server, 1024))
            guard.close()
            await carrying
        theirs.close()
        thread.close()
        return got

    got = asyncio.run(told())
    others = [line for line in got if not line.endswith(b": x")]
    assert all(b"cannot be reached" in line for line in others), "word of its own outage, nothing twice"
    assert len(got) - len(others) == messages


def proc(guard: Guard, name: str) -> str:
    return Path(f"/proc/{guard.process.pid}/{name}").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="changes user: needs root")
def test_it_gives_up_its_rights(begin: Begin, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as outside:  # nobody may not pass through the directory of the tests
        os.chmod(outside, 0o711)
        state = Path(outside) / "state"
        state.mkdir()
        os.chown(state, NOBODY, NOBODY)
        _check_rights(begin, state)


def _check_rights(begin: Begin, state: Path) -> None:
    leaked = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(leaked, True)
    guard = begin("--user", "nobody", directory=state, groups=[4, 24])
    os.close(leaked)
    assert guard.await_message(Ready) == Ready("")
    status = dict(line.split(":\t", 1) for line in proc(guard, "status").splitlines() if ":\t" in line)
    assert status["Uid"].split() == [str(NOBODY)] * 4
    assert status["Gid"].split() == [str(NOBODY)] * 4
    assert status["Groups"].split() == []
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert [int(status[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")] == [0, 0, 0, 0]
    assert status["Umask"] == "0077"
    assert os.stat(f"/proc/{guard.process.pid}/fd").st_uid == 0, "not dumpable: its files in proc are root's"
    assert os.readlink(f"/proc/{guard.process.pid}/cwd") == "/"
    assert proc(guard, "comm") == "sentinetd-couri\n"
    assert "sentinetd.daemon.courier" in proc(guard, "cmdline").split("\0")
    held = {
        int(name): os.readlink(f"/proc/{guard.process.pid}/fd/{name}")
        for name in os.listdir(f"/proc/{guard.process.pid}/fd")
    }
    assert held[0] == held[1] == "/dev/null"
    assert "/etc/passwd" not in held.values()
    assert {path.owner() for path in state.iterdir()} == {"nobody"}
    assert {path.stat().st_mode & 0o777 for path in state.iterdir()} == {0o600}


CONFINED = """
import ctypes, os
from sentinetd.daemon.privileges import confine
PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS = 3, 39
prctl = ctypes.CDLL(None).prctl
out = os.dup(1)
before = prctl(PR_GET_DUMPABLE), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
confine("confined", (out,))
after = prctl(PR_GET_DUMPABLE), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
os.write(out, repr((before, after, os.getcwd(), oct(os.umask(0)))).encode())
"""


def test_one_that_keeps_its_user_can_add_nothing_either() -> None:
    done = subprocess.run([sys.executable, "-c", CONFINED], capture_output=True, text=True, timeout=WITHIN, check=True)
    assert done.stdout == repr(((1, 0), (0, 1), "/", "0o77"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param(("--user", "no-such-user"), "no user no-such-user in passwd(5)", id="no such user"),
        pytest.param(
            ("--user", "nobody", "--group", "no-such-group"), "no group no-such-group in group(5)", id="group"
        ),
        pytest.param(("--loud",), "--loud: no option of the courier", id="no such option"),
    ],
)
def test_what_cannot_be_done_at_the_start_ends_it(begin: Begin, options: tuple[str, ...], words: str) -> None:
    guard = begin(*options)
    _, told = guard.process.communicate(timeout=WITHIN)
    assert (guard.process.returncode, told) == (1, f"sentinetd-courier: {words}\n")


@pytest.mark.parametrize(
    ("words", "options"),
    [
        pytest.param("--channel 3 --state /s", Options(3, "/s", None, None, False), id="the least"),
        pytest.param(
            "--channel 3 --state /s --user u --group g --required --alerts file,mail",
            Options(3, "/s", "u", "g", True, alerts=("file", "mail")),
            id="all",
        ),
    ],
)
def test_options(words: str, options: Options) -> None:
    assert read_options(words.split()) == options


@pytest.mark.parametrize(
    "words", ["", "--channel 3", "--channel x --state /s", "--state /s", "--channel 3 --state", "x"]
)
def test_bad_options(words: str) -> None:
    with pytest.raises(UsageError):
        read_options(words.split())


def test_a_long_queue_leaves_no_large_process(begin: Begin) -> None:
    """What it takes at once is bounded: a courier that was held up is hardly larger afterwards."""
    guard = begin()
    guard.introduce()
    refused = ev.ConnectionRefused(0.0, 7, "ssh", Address.parse("192.0.2.1"), 40_000, Reason.ADDRESS, 1, "tcp", 22)
    guard.tell(refused)
    guard.settle()
    before = own_memory(guard.process.pid)
    guard.process.send_signal(signal.SIGSTOP)
    while guard.channel.send(guard.sequence + 64, [refused] * 64):
        guard.sequence += 64
    guard.process.send_signal(signal.SIGCONT)
    guard.settle()
    assert guard.sequence > 4 * BATCH
    assert own_memory(guard.process.pid) - before < 1024


def own_memory(pid: int) -> int:
    """KiB of the process that no file backs (proc(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))
