"""Who is at the other end of the control socket, as the kernel says, and what that one may do."""

from __future__ import annotations

import socket
import struct
from enum import Enum
from errno import ERANGE

from sentinetd.model.noun import dataclass
from sentinetd.model.settings import ControlSettings

SO_PEERGROUPS = 59  # Linux, asm-generic/socket.h
ROOM = 1024
"""Bytes for the list of groups: the most that Python's getsockopt asks for, 256 groups."""
_CREDENTIALS = struct.Struct("iII")  # struct ucred of unix(7): pid, uid, gid


class Right(Enum):
    """What somebody may do. CHANGE includes READ."""

    NONE = "none"
    READ = "read"
    CHANGE = "change"


@dataclass(frozen=True, slots=True)
class Peer:
    """A user at the other end, by the credentials it had when it connected (unix(7), SO_PEERCRED)."""

    uid: int
    pid: int
    groups: frozenset[int]

    def __str__(self) -> str:
        return f"uid {self.uid}"


def peer_of(sock: socket.socket) -> Peer:
    """Who connected *sock*, a unix socket. OSError if the kernel does not say."""
    pid, uid, gid = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    try:
        packed = sock.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, ROOM)
    except OSError as error:
        if error.errno != ERANGE:
            raise
        packed = b""  # a member of more groups than Python can ask for; the first one counts
    groups = struct.unpack(f"{len(packed) // 4}I", packed)
    return Peer(uid, pid, frozenset({gid, *groups}))


def right_of(peer: Peer, settings: ControlSettings) -> Right:
    """Root, and whoever the daemon runs as, may change things, and so may the group of `[control] admins`; the group of
    the socket may read."""
    if peer.uid in (0, settings.owner) or settings.admins in peer.groups:
        return Right.CHANGE
    return Right.READ if settings.readers in peer.groups else Right.NONE
