"""The guard's side of the spawner: starts it, teaches it recipes, orders servers, reads what became of them.

Nothing here blocks and nothing is tried again: when the spawner has gone, its owner makes a new one and teaches it
everything once more. The spawner and all servers are children of the calling process, which reaps them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import struct
import sys
from collections import deque
from collections.abc import Mapping
from enum import StrEnum
from socket import MSG_NOSIGNAL, SCM_RIGHTS, SOL_SOCKET

from sentinetd.errors import EdgeError, MessageError
from sentinetd.spawn import protocol
from sentinetd.spawn.protocol import Launched, LaunchFailed, Reply
from sentinetd.spawn.recipe import Recipe

MAX_QUEUED = 1024
"""Launches that may wait for room in the socket; each holds a descriptor."""

REPLIES_AT_ONCE = 256
"""Replies that one `Spawner.receive` takes: other events of the loop get their turn."""

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sentinetd-spawner")
"""Where the C spawner is when it was built."""

_INT = struct.Struct("=i")

_RIGHTS = socket.CMSG_LEN(_INT.size)
"""Room for one descriptor: others that come are closed by the kernel (unix(7))."""

_NO_ROOM = (errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.ETOOMANYREFS)  # the last: unix(7), SCM_RIGHTS
_SHORT = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)  # of processes, memory, descriptors
_NO_PEER = (errno.EPIPE, errno.ECONNRESET)

_FALLBACK = "import sys; sys.path.insert(0, sys.argv[1]); from sentinetd.spawn import fallback; fallback.main()"


class Backend(StrEnum):
    """What makes the servers; the value is what ``--version`` and the log tell."""

    C = "spawner (C)"
    PYTHON = "fallback (Python)"


class SpawnerBusy(EdgeError):
    """A launch was not taken: too many wait, or no descriptor is free to let one more wait."""


class SpawnerGone(EdgeError):
    """The spawner has ended, or cannot be believed any longer.

    *replies*: what it said before and `Spawner.receive` has not given yet. *unanswered*: the orders, in order, of which
    it never said whether there is a process; most have none.
    """

    def __init__(self, why: str, replies: tuple[Reply, ...] = (), unanswered: tuple[int, ...] = ()) -> None:
        super().__init__(f"spawner: {why}")
        self.replies = replies
        self.unanswered = unanswered


def available() -> Backend:
    """What a `Spawner` is made of here, unless told otherwise."""
    return Backend.C if os.access(PROGRAM, os.X_OK) else Backend.PYTHON


def start(program: str, argv: list[str], environment: Mapping[str, str]) -> tuple[socket.socket, int]:
    """Our end of the socket (non-blocking) and the process id of *program*, which has the other end as descriptor 3.

    It gets a session of its own and all signals blocked: what a terminal or a service manager sends to the whole group
    is the caller's to answer. Standard input and output are /dev/null, standard error is ours. OSError if it cannot be.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        ours.setblocking(False)
        with theirs:
            high = fcntl.fcntl(theirs, fcntl.F_DUPFD_CLOEXEC, 10)  # no step below overwrites it
        try:
            empty = (0, 1) if _is_open(2) else (0, 1, 2)
            pid = os.posix_spawn(
                program,
                argv,
                environment,
                file_actions=[
                    *[(os.POSIX_SPAWN_OPEN, descriptor, "/dev/null", os.O_RDWR, 0) for descriptor in empty],
                    (os.POSIX_SPAWN_DUP2, high, protocol.DESCRIPTOR),
                ],
                setsid=True,
                setsigmask=signal.valid_signals(),
            )
        finally:
            os.close(high)
    except OSError:
        ours.close()
        raise
    return ours, pid


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


class Spawner:
    """One spawner process and our end of its socket.

    *backend* is what runs; given to the constructor, it is that or an EdgeError, else the C program where it was built
    and this machine can execute it. It is a fresh process, as small when started late as when started first.

    Watch `fileno` for reading, and for writing while `wants_write`. When `pid` is reaped the spawner has gone, which
    the socket need not tell: a server that was stopped before its exec keeps the other end open. Ask `ended` then.
    """

    def __init__(self, backend: Backend | None = None) -> None:
        self.backend, self._socket, self.pid = _start(backend)
        self._queue: deque[tuple[bytes, int]] = deque()  # message, descriptor that we own or -1
        self._waiting = 0  # launches among them
        self._unanswered: dict[int, None] = {}  # a set that keeps its order
        self._gone = ""

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def wants_write(self) -> bool:
        """Whether messages wait for room in the socket: call `flush` when it is writable."""
        return bool(self._queue)

    def teach(self, number: int, recipe: Recipe) -> None:
        """From now on launches of *number* (32 bit) are by *recipe*. MessageError if it is out of bounds."""
        for piece in protocol.teach(number, recipe.encode()):
            self._send(piece)

    def forget(self, number: int) -> None:
        """Launches of *number* ordered after this fail; the others are carried out."""
        self._send(protocol.forget(number))

    def launch(self, order: int, number: int, descriptor: int, remote_host: str) -> None:
        """Order a server by recipe *number*, with *descriptor* as its 0, 1 and 2. Replies name it by *order* (64 bit).

        REMOTE_HOST is added to its environment unless *remote_host* is empty. The caller keeps *descriptor* and may
        close it when this returns: a launch that fails gives it back with its reply. Raises SpawnerBusy or SpawnerGone
        when the order was not taken: no reply will come, and it is not among the unanswered.
        """
        message = protocol.launch(order, number, remote_host)
        if self._waiting >= MAX_QUEUED:
            raise SpawnerBusy(f"{self._waiting} launches wait for the spawner already")
        self._send(message, descriptor)
        self._unanswered[order] = None

    def flush(self) -> None:
        """Send of what waits as much as there is room for."""
        while self._queue:
            message, descriptor = self._queue[0]
            if not self._sent(message, descriptor):
                return
            self._queue.popleft()
            if descriptor >= 0:
                self._waiting -= 1
                os.close(descriptor)

    @property
    def awaited(self) -> bool:
        """Whether an order is unanswered."""
        return bool(self._unanswered)

    def receive(self, *, awaited: bool = False) -> list[Reply]:
        """The replies that have come, at most `REPLIES_AT_ONCE`, never waiting for one. The last look, which finds
        none, costs as much as one that does: *awaited* leaves it out once every order is answered, and with it a
        `SetupFailed` that may have come."""
        replies: list[Reply] = []
        while len(replies) < REPLIES_AT_ONCE and (self._unanswered or not awaited):
            reply = self._reply()
            if reply is None:
                break
            replies.append(reply)
        if self._gone and not replies:
            raise self.ended(self._gone)
        return replies

    def close(self) -> tuple[int, ...]:
        """End the spawner by closing its socket, and drop what waits. Gives the unanswered orders. Safe to repeat.

        Servers live on. The spawner's process remains to be reaped.
        """
        self._gone = self._gone or "it was closed"
        self._socket.close()
        for _, descriptor in self._queue:
            if descriptor >= 0:
                os.close(descriptor)
        self._queue.clear()
        unanswered, self._unanswered = tuple(self._unanswered), {}
        return unanswered

    def ended(self, how: str) -> SpawnerGone:
        """What the owner must still account for once `pid` was reaped: *how* is the text. Closes the socket."""
        replies = []
        while (reply := self._reply()) is not None:
            replies.append(reply)
        return SpawnerGone(how, tuple(replies), self.close())

    def _reply(self) -> Reply | None:
        """The next reply; None if none has come or the spawner has gone."""
        if self._gone:
            return None
        try:
            message, rights, _, _ = self._socket.recvmsg(protocol.REPLY.size + 1, _RIGHTS, socket.MSG_CMSG_CLOEXEC)
            if not message:
                self._gone = "it has ended"
                return None
            reply = _read(message, rights) if rights else protocol.read_reply(message)
        except BlockingIOError:
            return None
        except ConnectionResetError:  # told once, before the replies that wait: it died with orders unread (unix(7))
            return self._reply()
        except (OSError, MessageError) as error:
            self._gone = str(error)
            return None
        if isinstance(reply, (Launched, LaunchFailed)):
            self._unanswered.pop(reply.order, None)
        return reply

    def _send(self, message: bytes, descriptor: int = -1) -> None:
        """Send or queue one message; a queued one has a copy of *descriptor*."""
        if self._gone:
            raise SpawnerGone(self._gone)
        if not self._queue and self._sent(message, descriptor):
            return
        if descriptor >= 0:
            try:
                descriptor = os.dup(descriptor)
            except OSError as error:
                raise SpawnerBusy(f"no descriptor to let a launch wait: {error.strerror}") from error
            self._waiting += 1
        self._queue.append((message, descriptor))

    def _sent(self, message: bytes, descriptor: int) -> bool:
        """Whether there was room for the message."""
        rights = [(SOL_SOCKET, SCM_RIGHTS, _INT.pack(descriptor))] if descriptor >= 0 else []
        try:
            self._socket.sendmsg((message,), rights, MSG_NOSIGNAL)
        except OSError as error:
            if error.errno in _NO_ROOM:
                return False
            if error.errno in _NO_PEER:
                raise self.ended("it takes no more orders") from error
            raise
        return True


def _read(message: bytes, rights: list[tuple[int, int, bytes]]) -> Reply:
    """The reply that *message* spells, with the descriptor that came with it; closed if it spells none."""
    (descriptor,) = _INT.unpack(rights[0][2])  # nothing else can come: we asked for no credentials
    try:
        return protocol.read_reply(message, descriptor)
    except MessageError:
        os.close(descriptor)
        raise


def _start(wanted: Backend | None) -> tuple[Backend, socket.socket, int]:
    if (wanted or available()) is Backend.C:
        try:
            return (Backend.C, *start(PROGRAM, ["sentinetd-spawner", protocol.VERSION], {}))
        except OSError as error:
            if error.errno in _SHORT:  # for a while: a fallback would be slow for good
                raise EdgeError(f"{PROGRAM}: {error.strerror}") from error
            if wanted is Backend.C:
                raise EdgeError(f"{PROGRAM}: {error.strerror}; build it, or let the fallback serve") from error
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    try:
        ours, pid = start(sys.executable, [sys.executable, "-I", "-S", "-c", _FALLBACK, root], os.environ)
    except OSError as error:
        raise EdgeError(f"{sys.executable or 'the Python interpreter'}: {error.strerror}") from error
    return Backend.PYTHON, ours, pid
