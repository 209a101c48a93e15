"""The porter: a process without rights that does for the guard whatever reads foreign bytes or waits for strangers.

Wiring only. It is told what to do over one channel, ends with it, and opens no file and no port that it was named.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import sys
import time
from argparse import ArgumentParser
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from sentinetd.ask.hosts_access import Request, Tables
from sentinetd.ask.ident import owner
from sentinetd.ask.lookups import Lookups
from sentinetd.ask.names import ADDRESSES_LIFE, ADDRESSES_STALE, addresses_of, name_life, name_of
from sentinetd.ask.proxy import announced
from sentinetd.ask.threads import Threads
from sentinetd.daemon.channel import Channel, ChannelClosed
from sentinetd.daemon.lockdown import EXECUTE, change_no_files, forbid
from sentinetd.daemon.messages import (
    TO_PORTER,
    AddressesAre,
    Admit,
    Answer,
    Asked,
    AskedAddresses,
    AskedHeader,
    AskedTables,
    AskedUser,
    Attend,
    Carried,
    Carry,
    Choose,
    Chosen,
    Complaint,
    HangUp,
    HeaderSays,
    Join,
    Leave,
    Met,
    Multiplexed,
    Play,
    Played,
    Relay,
    Say,
    Shun,
    TableFile,
    TablesSay,
    User,
)
from sentinetd.daemon.newborn import whole
from sentinetd.daemon.privileges import confine
from sentinetd.errors import MessageError
from sentinetd.model.address import Address
from sentinetd.model.routine import Ending
from sentinetd.model.verdict import Question
from sentinetd.net.netlink import NetlinkError
from sentinetd.net.sock_diag import users
from sentinetd.net.source import source_of
from sentinetd.serve.banner import Banner
from sentinetd.serve.intercept import HOME, Front, Where
from sentinetd.serve.internal.decoys.dialogue import NOISE, Scene
from sentinetd.serve.internal.decoys.table import DECOYS
from sentinetd.serve.play import Heard, Part, Playing, escaped
from sentinetd.serve.redirect import Redirect
from sentinetd.serve.sessions import Sessions
from sentinetd.serve.streams import STREAMS
from sentinetd.serve.tcpmux import Multiplexer

MOST_QUESTIONS = 1024
"""Questions open at once; the guard asks no more. One beyond is answered at once: it could not be found out."""
BATCH = 64
"""Messages in one packet; fewer where they are long."""
PLAYS_MOST = 256
"""Clients of sensors at once, and no more than a quarter of all connections."""
TURN = 16
"""Messages after which no more packets are read in this turn of the loop, so that the sessions get theirs."""

DESCRIPTORS = {
    Carry: 1, Relay: 1, Join: 2, Attend: 1, Admit: 1, Choose: 1, Say: 2, Play: 1, AskedHeader: 1, TableFile: 1,
}  # fmt: skip
"""How many descriptors come with an order; none with the others."""


class Porter:
    """Does what comes over *channel*; `run` returns when the guard has closed its end. *most*: connections at once."""

    def __init__(self, channel: Channel, most: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._channel = channel
        self._closed = self._loop.create_future()
        threads = Threads()
        self._names = Lookups(threads, name_of, name_life)
        self._answers = {Question.NAME: self._name}
        self._addresses = Lookups(threads, addresses_of, lambda found: ADDRESSES_LIFE, stale=ADDRESSES_STALE)
        self._tables = Tables(self._names.answer, owner, self._loop.time)
        self._sessions = Sessions(self._loop, self._carried, most)
        self._host = socket.gethostname() or "localhost"  # what decoys call the host, as services usually do
        self._plays = 0
        self._most_plays = min(PLAYS_MOST, most // 4)
        self._multiplexed: frozenset[str] = frozenset()
        self._fronts: dict[int, Front] = {}  # by service
        self._questions = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._outgoing: deque[Any] = deque()  # bounded by the questions and sessions it answers
        self._sequence = 0
        self._told: dict[type[Any], Callable[[Any], None]] = {
            Multiplexed: self._multiplex,
            HangUp: lambda order: self._sessions.stop(order.number),
            Shun: self._shun,
            Leave: self._leave,
        }
        self._asked: dict[type[Any], tuple[Callable[[Any], Coroutine[Any, Any, Any]], Callable[[Any], Any]]] = {
            Asked: (self._answer, lambda asked: Answer(asked.number, asked.question, None)),
            AskedAddresses: (self._host_addresses, lambda asked: AddressesAre(asked.name, None)),
            AskedUser: (self._user, lambda asked: User(asked.number, None, "system error")),
            AskedTables: (self._judge, lambda asked: TablesSay(asked.number, False, "too many questions", False)),
        }
        self._ordered: dict[type[Any], Callable[[Any, Sequence[int]], None]] = {
            Carry: self._carry,
            Relay: self._relay,
            Join: self._join,
            Choose: self._choose,
            Say: self._say,
            Play: self._play,
        }

    async def run(self) -> None:
        """Serve until the channel ends. Raises what one of the tasks raised: a mistake of ours ends the process."""
        self._loop.set_exception_handler(self._mistaken)
        self._loop.add_reader(self._channel.fileno(), self._read)
        try:
            await self._closed
        finally:
            self._loop.remove_reader(self._channel.fileno())
            self._loop.remove_writer(self._channel.fileno())
            self._sessions.stop_all()
            for front in self._fronts.values():
                front.close()
            for task in self._tasks:
                task.cancel()

    # What comes in.

    def _read(self) -> None:
        obeyed = 0
        while obeyed < TURN:
            obeyed += 1
            try:
                packet = self._channel.receive()
            except MessageError as error:
                self._tell(Complaint(f"message dropped: {error}"))
                continue
            except ChannelClosed:
                self._end(None)
                return
            if packet is None:
                return
            _, messages, descriptors = packet
            if len(descriptors) != sum(DESCRIPTORS.get(type(message), 0) for message in messages):
                self._tell(Complaint(f"packet dropped: {len(descriptors)} descriptors for {len(messages)} messages"))
                _close(descriptors)
                continue
            obeyed += len(messages) - 1
            for message in messages:
                count = DESCRIPTORS.get(type(message), 0)
                self._obey(message, descriptors[:count])
                del descriptors[:count]

    def _obey(self, message: Any, descriptors: Sequence[int]) -> None:
        kind = type(message)
        if kind in self._told:
            self._told[kind](message)
        elif kind in self._asked:
            find_out, unknown = self._asked[kind]
            if self._questions >= MOST_QUESTIONS:
                self._tell(unknown(message))
            else:
                self._questions += 1
                self._start(self._find_out(find_out(message)))
        elif kind is AskedHeader:
            self._read_header(message, descriptors)
        elif kind is Attend:
            self._attend(message, descriptors)
        elif kind is TableFile:
            self._tables.hold(message.deny, descriptors[0])
        elif self._sessions.holds(message.number):
            self._tell(Complaint(f"order dropped: connection {message.number} is being carried already"))
            _close(descriptors)
        elif self._sessions.full:
            if kind is Play:
                self._tell(Played(message.number, None, False, 0.0))
            else:
                self._carried(message.number, 0, 0, Ending.FULL, "")
            _close(descriptors)
            if kind is Admit:
                self._shun(message)
        elif kind is Admit:
            self._admit(message, descriptors)
        else:
            self._ordered[kind](message, descriptors)

    def _multiplex(self, order: Multiplexed) -> None:
        self._multiplexed = frozenset(order.names)

    # Datagrams of intercepted services.

    def _attend(self, order: Attend, descriptors: Sequence[int]) -> None:
        self._leave(order)
        public = socket.socket(fileno=descriptors[0])

        def trusted(where: Where) -> bool:
            try:
                return users(socket.IPPROTO_UDP, source_of(where), where[1]) in ({order.user}, {0}, {0, order.user})
            except NetlinkError as error:
                self._tell(Complaint(f"an answer was dropped, for it could not be found out whose it is: {error}"))
                return False

        self._fronts[order.service] = Front(self._sessions, order.service, public, order.port, self._met, trusted)

    def _met(self, service: int, token: int, where: Where) -> None:
        self._tell(Met(service, token, source_of(where), where[1]))

    def _admit(self, order: Admit, descriptors: Sequence[int]) -> None:
        front = self._fronts.get(order.service)
        if front is None:  # the service went meanwhile
            _close(descriptors)
            self._carried(order.number, 0, 0, Ending.STOPPED, "")
        else:
            front.admit(order.number, order.token, socket.socket(fileno=descriptors[0]), order.idle)

    def _shun(self, order: Shun | Admit) -> None:
        front = self._fronts.get(order.service)
        if front is not None:
            front.shun(order.token)

    def _leave(self, order: Leave | Attend) -> None:
        front = self._fronts.pop(order.service, None)
        if front is not None:
            front.close()

    # Connections carried out.

    def _carry(self, order: Carry, descriptors: Sequence[int]) -> None:
        client = socket.socket(fileno=descriptors[0])
        STREAMS[order.routine](self._sessions, order.number, client, order.idle, order.position)

    def _relay(self, order: Relay, descriptors: Sequence[int]) -> None:
        session = Redirect(self._sessions, order.number, socket.socket(fileno=descriptors[0]), order.idle)
        try:
            address = Address.parse(order.host)
        except ValueError:  # a name
            self._start(session.find(order.host, order.port, order.keepalive, order.seconds, self._addresses.answer))
        else:
            session.reach((address,), order.port, order.keepalive, order.seconds)

    def _join(self, order: Join, descriptors: Sequence[int]) -> None:
        session = Redirect(self._sessions, order.number, socket.socket(fileno=descriptors[0]), order.idle)
        target = socket.socket(fileno=descriptors[1])
        session.join(target, (HOME, order.port), order.seconds)

    def _choose(self, order: Choose, descriptors: Sequence[int]) -> None:
        client = socket.socket(fileno=descriptors[0])
        Multiplexer(self._sessions, order.number, client, order.seconds, self._multiplexed, self._chosen)

    def _say(self, order: Say, descriptors: Sequence[int]) -> None:
        client = socket.socket(fileno=descriptors[0])
        Banner(self._sessions, order.number, client, order.seconds, descriptors[1], order.last)

    def _play(self, order: Play, descriptors: Sequence[int]) -> None:
        """Only so many at once, whatever the guard thinks: sensors must not take the room of everything else."""
        if self._plays >= self._most_plays:
            _close(descriptors)
            self._tell(Played(order.number, None, False, 0.0))
            return
        self._plays += 1
        scene = Scene(self._host, order.source, time.time(), os.urandom(NOISE))
        dialogue = None if order.decoy is None else DECOYS[order.decoy](scene)
        greeting = None if order.greeting is None else order.greeting.encode("latin-1", "replace")
        part = Part(dialogue, greeting, order.size, order.seconds, order.tarpit)
        Playing(self._sessions, order.number, socket.socket(fileno=descriptors[0]), part, self._played)

    def _played(self, number: int, heard: Heard) -> None:
        self._plays -= 1
        self._tell(Played(number, escaped(heard.kept), heard.more, heard.seconds))

    def _carried(self, number: int, bytes_in: int, bytes_out: int, ending: Ending, error: str) -> None:
        self._tell(Carried(number, bytes_in, bytes_out, ending, error))

    def _chosen(self, number: int, name: str) -> None:
        self._tell(Chosen(number, name))

    # Questions answered.

    async def _find_out(self, answer: Coroutine[Any, Any, Any]) -> None:
        try:
            self._tell(await answer)
        except ValueError as error:  # an address or a port that is none: the guard asked for nonsense
            self._tell(Complaint(f"question dropped: {error}"))
        finally:
            self._questions -= 1

    async def _answer(self, asked: Asked) -> Answer:
        value = await self._answers[asked.question](Address.parse(asked.source), asked.seconds)
        return Answer(asked.number, asked.question, value)

    async def _name(self, source: Address, seconds: float) -> str | None:
        name = await self._names.answer(source.text, seconds)
        return None if name is None else name.text

    async def _host_addresses(self, asked: AskedAddresses) -> AddressesAre:
        return AddressesAre(asked.name, await self._addresses.answer(asked.name, asked.seconds))

    async def _user(self, asked: AskedUser) -> User:
        source, local = Address.parse(asked.source), Address.parse(asked.local)
        identity = await owner(source, asked.source_port, local, asked.local_port, asked.seconds)
        return User(asked.number, identity.said, identity.why)

    async def _judge(self, asked: AskedTables) -> TablesSay:
        source, local = Address.parse(asked.source), Address.parse(asked.local)
        request = Request(asked.daemon, source, asked.source_port, local, asked.local_port)
        verdict = await self._tables.judge(request, asked.seconds)
        return TablesSay(asked.number, verdict.admit, verdict.where, verdict.spawns)

    def _read_header(self, asked: AskedHeader, descriptors: Sequence[int]) -> None:
        if self._questions >= MOST_QUESTIONS:
            _close(descriptors)
            self._tell(HeaderSays(asked.number, None, "too many questions"))
            return
        self._questions += 1
        self._start(self._find_out(self._header(asked, socket.socket(fileno=descriptors[0]))))

    async def _header(self, asked: AskedHeader, client: socket.socket) -> HeaderSays:
        """The guard goes on with its own copy of *client*, so that ours is closed before it is told."""
        with client:
            try:
                return HeaderSays(asked.number, await announced(client, asked.seconds), "")
            except ValueError as error:
                return HeaderSays(asked.number, None, str(error))

    # Tasks, and what goes out.

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._end(error)

    def _mistaken(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What a callback raised: a mistake of ours as well."""
        self._end(context.get("exception") or RuntimeError(context["message"]))

    def _end(self, error: BaseException | None) -> None:
        if self._closed.done():
            return
        if error is None:
            self._closed.set_result(None)
        else:
            self._closed.set_exception(error)

    def _tell(self, message: Any) -> None:
        if not self._outgoing:
            self._loop.call_soon(self._flush)  # one packet for all that one turn of the loop has to say
        self._outgoing.append(message)

    def _flush(self) -> None:
        while self._outgoing and not self._closed.done():
            batch = [self._outgoing[place] for place in range(min(BATCH, len(self._outgoing)))]
            try:
                sent = self._send(batch)
            except ChannelClosed:
                self._end(None)
                return
            if not sent:
                self._loop.add_writer(self._channel.fileno(), self._flush)
                return
            self._sequence += len(batch)
            for _ in batch:
                self._outgoing.popleft()
        self._loop.remove_writer(self._channel.fileno())

    def _send(self, batch: list[Any]) -> bool:
        """Send *batch*, or the beginning of it that fits into a packet: the rest is taken off it. False: not now."""
        while True:
            try:
                return self._channel.send(self._sequence, batch)
            except MessageError:
                if len(batch) == 1:
                    raise
                del batch[len(batch) // 2 :]


def _close(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def most_connections() -> int:
    """How many connections of two descriptors each may be carried at once, when as many files are open as may be.

    A share is left for look-ups. Raises the soft limit of open files to the hard one.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return (hard - min(hard // 4, MOST_QUESTIONS + 256)) // 2


def main(words: Sequence[str]) -> int:
    """Drop all rights, then serve the channel that *words* name (`newborn`). 0 when the guard is gone."""
    parser = ArgumentParser(prog="sentinetd-porter", allow_abbrev=False)
    parser.add_argument("--channel", type=int, required=True, metavar="FD", help="descriptor of the guard's channel")
    parser.add_argument("--user", help="user to run as; without it: unchanged")
    parser.add_argument("--group", help="group to run as; without it: the user's own")
    command = whole(words)
    if command is None:
        return 0
    options = parser.parse_args(command)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # meant for the guard by the terminal; the channel's end is our signal
    most = most_connections()
    confine("sentinet-porter", [options.channel], options.user, options.group)
    forbid(EXECUTE)
    change_no_files()
    channel = Channel(socket.socket(fileno=options.channel), TO_PORTER)
    try:
        asyncio.run(serve(channel, most))
    finally:
        channel.close()
    return 0


async def serve(channel: Channel, most: int) -> None:
    """The porter's whole life on the running loop."""
    await Porter(channel, most).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
