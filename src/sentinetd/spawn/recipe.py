"""A recipe: all that the servers of one service have in common, and how it crosses to the spawner.

The form is that of ``recipes.h``: a head, the limits, the groups, then strings that each end in a zero byte.
"""

from __future__ import annotations

import os
import struct
from typing import Self

from sentinetd.errors import MessageError
from sentinetd.model.noun import dataclass

MAX_SIZE = 1 << 20
"""Bytes of an encoded recipe."""

_HEAD = struct.Struct("=IIIIiIIIII")  # flags uid gid umask nice, numbers of limits groups arguments variables, zero
_LIMIT = struct.Struct("=QII")  # value, resource, zero
_HAS_UID, _HAS_GID, _HAS_GROUPS, _HAS_UMASK, _LABELED = 1, 2, 4, 8, 16
_INFINITY = (1 << 64) - 1
_MAX_ID = (1 << 32) - 2  # -1 means "unchanged" to setresuid(2)
_MAX_LIMIT = 1 << 63
_MAX_LIMITS = 16  # RLIM_NLIMITS
_MAX_GROUPS = 65536  # NGROUPS_MAX
_MAX_NICE = 40


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a server of one service is. None: as the spawner has it, which is as the guard has it.

    *server* is taken as it stands, from the directory ``/``, without a search in PATH. *environment* has ``NAME=value``
    without REMOTE_HOST. *nice* is added to the guard's own. *limits* are pairs of an RLIMIT_ number and a value, soft
    and hard alike, in the order in which they are set; -1 is infinity. *groups* are the supplementary ones.
    *labeled*: the server's SELinux context has the range of the connection's peer, or nothing is run.
    """

    server: str
    argv: tuple[str, ...]
    environment: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] | None = None
    umask: int | None = None
    nice: int = 0
    limits: tuple[tuple[int, int], ...] = ()
    labeled: bool = False

    def encode(self) -> bytes:
        """The recipe as it crosses. MessageError if a part is out of its bounds or a text has a zero byte."""
        self._check()
        groups = self.groups or ()
        try:
            strings = [os.fsencode(text) for text in (self.server, *self.argv, *self.environment)]
        except UnicodeEncodeError as error:
            raise MessageError(f"recipe: {error}") from error
        _bound(not any(b"\0" in text for text in strings), "a text with a zero byte")
        flags = (
            _HAS_UID * (self.uid is not None)
            | _HAS_GID * (self.gid is not None)
            | _HAS_GROUPS * (self.groups is not None)
            | _HAS_UMASK * (self.umask is not None)
            | _LABELED * self.labeled
        )
        head = _HEAD.pack(
            flags,
            self.uid or 0,
            self.gid or 0,
            self.umask or 0,
            self.nice,
            len(self.limits),
            len(groups),
            len(self.argv),
            len(self.environment),
            0,
        )
        limits = [_LIMIT.pack(_INFINITY if value == -1 else value, which, 0) for which, value in self.limits]
        encoded = b"".join([head, *limits, struct.pack(f"={len(groups)}I", *groups), b"\0".join(strings), b"\0"])
        _bound(len(encoded) <= MAX_SIZE, "the size")
        return encoded

    @classmethod
    def decode(cls, encoded: bytes) -> Self:
        """The recipe that `encode` gave. MessageError if *encoded* is not of that form."""
        try:
            flags, uid, gid, umask, nice, n_limits, n_groups, n_arguments, n_variables, _ = _HEAD.unpack_from(encoded)
            _bound(n_limits <= _MAX_LIMITS and n_groups <= _MAX_GROUPS, "a number of parts")
            at = _HEAD.size
            limits = [_LIMIT.unpack_from(encoded, at + number * _LIMIT.size) for number in range(n_limits)]
            at += n_limits * _LIMIT.size
            groups = struct.unpack_from(f"={n_groups}I", encoded, at)
            at += n_groups * 4
        except struct.error as error:
            raise MessageError(f"recipe: {error}") from error
        strings = [os.fsdecode(text) for text in encoded[at:].split(b"\0")]
        _bound(strings.pop() == "" and len(strings) == 1 + n_arguments + n_variables, "the number of texts")
        recipe = cls(
            server=strings[0],
            argv=tuple(strings[1 : 1 + n_arguments]),
            environment=tuple(strings[1 + n_arguments :]),
            uid=uid if flags & _HAS_UID else None,
            gid=gid if flags & _HAS_GID else None,
            groups=groups if flags & _HAS_GROUPS else None,
            umask=umask if flags & _HAS_UMASK else None,
            nice=nice,
            limits=tuple((which, -1 if value == _INFINITY else value) for value, which, _ in limits),
            labeled=bool(flags & _LABELED),
        )
        recipe._check()
        return recipe

    def _check(self) -> None:
        ids = [number for number in (self.uid, self.gid, *(self.groups or ())) if number is not None]
        _bound(all(0 <= number <= _MAX_ID for number in ids), "a user or group number")
        _bound(len(self.groups or ()) <= _MAX_GROUPS, "the number of groups")
        _bound(0 <= (self.umask or 0) <= 0o777, "umask")
        _bound(abs(self.nice) <= _MAX_NICE, "nice")
        _bound(len(self.limits) <= _MAX_LIMITS, "the number of limits")
        _bound(all(0 <= which < _MAX_LIMITS and -1 <= value < _MAX_LIMIT for which, value in self.limits), "a limit")
        _bound(len(self.argv) >= 1, "the number of arguments")


def _bound(held: bool, what: str) -> None:
    if not held:
        raise MessageError(f"recipe: {what} is out of bounds")
