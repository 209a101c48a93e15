"""What came in at listeners, until it is handed on: accepted in bursts, held, hung up on together.

Every accepted connection has one owner here, the `Held` of this `Entrance`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import count

from sentinetd.daemon.door import Door
from sentinetd.model.address import Address
from sentinetd.model.aim import watches
from sentinetd.model.connection import Connection
from sentinetd.net.held import LENT, Held
from sentinetd.net.listener import AcceptFailed, Exhausted, Listener
from sentinetd.net.source import asked_of, local_of

AT_ONCE = 64
"""Connections accepted at one listener before the others get their turn."""


class Entrance:
    """*arrived* is told who came, and has judged them all when it returns; *exhausted*, at which service no more can
    be accepted. *numbers* gives each connection its own."""

    def __init__(self, arrived: Callable[[Iterable[Connection]], None], exhausted: Callable[[int], None]) -> None:
        self._arrived = arrived
        self._exhausted = exhausted
        self.held = Held()
        self.numbers = count(1)
        self._over: list[int] | None = None  # descriptors to hang up on together, while what came together is judged

    def accept(self, number: int, door: Door) -> None:
        """Accept what has come to service *number* at *door*, have it judged, hang up on whom that refused.

        One after the other in each step: a client that is hung up on wakes, and to wake one after each verdict costs
        more than the verdict.
        """
        listener = door.listener
        if listener is None:
            return
        burst, door.burst = door.burst, 1
        came, taken, exhausted = self._taken(number, door, listener, burst)
        self._over = []
        try:
            self._arrived(self._while_open(door, listener, came))
        finally:
            refused, self._over = self._over, None
            for descriptor in refused:
                if descriptor != LENT:
                    os.close(descriptor)
        if exhausted and not refused:  # else there are descriptors again
            self._exhausted(number)
        # The call that finds nothing costs as much as one that finds something: it is saved where one came at a time.
        door.burst = min(2 * burst, AT_ONCE) if taken == burst else max(1, taken)

    def hang_up(self, number: int) -> None:
        """Hang up on connection *number*, which is held: together with the others that are refused now."""
        if self._over is None:
            self.held.close(number)
        else:
            self._over.append(self.held.take(number))

    def _taken(
        self, number: int, door: Door, listener: Listener, most: int
    ) -> tuple[list[Connection], int, bool]:
        """Up to *most* connections, which are held; how many were accepted for them, and whether no more can be."""
        came: list[Connection] = []
        taken = 0
        sensor, caught = door.sensor, door.caught
        asks = sensor and (caught or not listener.address.value)  # which of our addresses was touched
        local: Address | None = listener.address if sensor else None
        local_port = listener.port
        try:
            for descriptor, source, port in listener.accept(most, unseen=door.unseen):
                taken += 1
                if asks:
                    local, local_port = asked_of(descriptor, listener.port) if caught else local_of(descriptor)
                    if caught and not watches(door.service, local, local_port):
                        os.close(descriptor)  # not brought here: it asked for the listener's own port
                        continue
                connection = Connection(next(self.numbers), number, source, port, local, local_port)
                self.held.put(connection.number, descriptor)
                came.append(connection)
        except (Exhausted, AcceptFailed):
            return came, taken, True
        return came, taken, False

    def _while_open(self, door: Door, listener: Listener, came: Iterable[Connection]) -> Iterator[Connection]:
        """*came*, as long as *listener* is not closed for one of them; the others are hung up on, as the kernel does
        with those that nobody accepted yet."""
        for connection in came:
            if door.listener is listener:
                yield connection
            else:
                self.held.close(connection.number)
