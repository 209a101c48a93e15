"""The daemon's own table in nftables: claimed, kept from others where the kernel can, watched where it cannot.

Only the socket that claimed a table can change it. One that persists is found again, with all it holds, by the next
daemon, after a crash too.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

from sentinetd.errors import EdgeError
from sentinetd.firewall.framing import attributes, text
from sentinetd.firewall.netfilter import Answer, Message, Netfilter, NetfilterError, Watch
from sentinetd.firewall.tables import (
    DELETE_CHAIN,
    DELETE_ELEMENTS,
    DELETE_RULE,
    DELETE_SET,
    DELETE_TABLE,
    GET_ELEMENTS,
    GET_SET,
    GET_TABLE,
    NEW_CHAIN,
    NEW_ELEMENTS,
    NEW_RULE,
    NEW_SET,
    NEW_TABLE,
    OWNER,
    PERSIST,
    named_set,
    no_table,
    table,
)

OWNER_PORT = 7  # NFTA_TABLE_OWNER
NAMED = frozenset({NEW_TABLE, DELETE_TABLE, NEW_CHAIN, DELETE_CHAIN, NEW_RULE, DELETE_RULE, NEW_SET, DELETE_SET,
                   NEW_ELEMENTS, DELETE_ELEMENTS})  # fmt: skip
"""Notices whose first attribute is the name of the table."""
UNSUPPORTED = frozenset({errno.EOPNOTSUPP, errno.EINVAL})


class OwnTable:
    """The table *name* of the inet family, from `claim` on; only one object at a time may hold it.

    *flags* are what is asked for; `owned` tells whether the kernel has them, and so keeps others from changing it.
    """

    def __init__(self, name: str, flags: int = OWNER | PERSIST) -> None:
        self.name = name
        self.owned = False
        self._flags = flags
        self._kernel: Netfilter | None = None
        self._watch: Watch | None = None

    def claim(self) -> None:
        """Make the table ours, with what is in it. `NetfilterError` if there is no nftables here or no right to it;
        `EdgeError` if the table belongs to another program that runs."""
        self.close()
        kernel = Netfilter()
        try:
            self.owned = self._claimed(kernel)
            self._watch = Watch(kernel.port)
        except EdgeError:
            kernel.close()
            raise
        self._kernel = kernel

    def _claimed(self, kernel: Netfilter) -> bool:
        """Whether it has the flags that were asked for."""
        purpose = f"claiming the table inet {self.name}"
        there = self._found(kernel)
        if there is not None and there.get(OWNER_PORT, kernel.port) != kernel.port:
            raise EdgeError(f"the table inet {self.name} belongs to another program that runs: give ours another name")
        # One that is there without the flags cannot get them: it is made anew, in one step.
        for flags, before in ((self._flags, ()), (self._flags, (no_table(self.name),)), (0, ())):
            if before and there is None:
                continue
            try:
                kernel.transact([*before, table(self.name, flags)], purpose)
            except NetfilterError as error:
                if flags and error.errno in UNSUPPORTED:
                    continue
                raise
            return bool(flags & OWNER)
        raise AssertionError("the last way is tried without flags")

    def _found(self, kernel: Netfilter) -> dict[int, int] | None:
        """Numbers that the kernel tells of the table; None if it is not there."""
        try:
            told = kernel.ask(GET_TABLE, text(1, self.name), f"looking for the table inet {self.name}")
        except NetfilterError as error:
            if error.errno == errno.ENOENT:
                return None
            raise
        return {kind: int.from_bytes(value, "big") for one in told for kind, value in attributes(one.body) if kind > 1}

    def transact(self, messages: Sequence[Message], purpose: str) -> None:
        """Change what is in the table, at once. `NetfilterError`, also when it was not claimed."""
        if self._kernel is None:
            raise NetfilterError(purpose, errno.EBADF)
        self._kernel.transact(messages, purpose)

    def sets(self) -> list[str]:
        """The names of the sets in the table."""
        if self._kernel is None:
            raise NetfilterError("listing sets", errno.EBADF)
        told = self._kernel.ask(GET_SET, text(1, self.name), "listing sets", dump=True)
        return [dict(attributes(one.body))[2].rstrip(b"\0").decode() for one in told]

    def elements(self, name: str) -> list[Answer]:
        """What the kernel tells of the elements of a set."""
        if self._kernel is None:
            raise NetfilterError("listing elements", errno.EBADF)
        return self._kernel.ask(GET_ELEMENTS, named_set(self.name, name), f"listing the set {name}", dump=True)

    def fileno(self) -> int:
        """Readable when another program changed something in nftables; -1 while not claimed."""
        return -1 if self._watch is None else self._watch.fileno()

    def disturbed(self) -> bool:
        """Whether another program has changed our table since the last call, or may have."""
        if self._watch is None:
            return False
        told = self._watch.drain()
        return told is None or any(self._is_ours(one) for one in told)

    def _is_ours(self, notice: Answer) -> bool:
        if notice.kind not in NAMED:
            return False
        named = dict(attributes(notice.body)).get(1, b"")
        return named.rstrip(b"\0") == self.name.encode()

    def remove(self) -> None:
        """Remove the table with all it holds, and let go of it. None there is no mistake."""
        try:
            self.transact([no_table(self.name)], f"removing the table inet {self.name}")
        except NetfilterError as error:
            if error.errno != errno.ENOENT:
                raise
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the table; what it holds stays, if the kernel lets it persist or nobody owns it."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        if self._kernel is not None:
            self._kernel.close()
            self._kernel = None
