"""What the guard has to say to its other processes goes out after each turn of the loop, as far as there is room."""

from __future__ import annotations

from sentinetd.daemon.carrier import Carrier
from sentinetd.daemon.channel import ChannelClosed
from sentinetd.daemon.companion import Companion
from sentinetd.daemon.link import Link
from sentinetd.daemon.loop import Loop, Moment
from sentinetd.daemon.offers import Offers


class Outflow:
    """To the courier, which has a *link*, to the porter of *carrier*, to the herald of *offers*."""

    def __init__(self, loop: Loop, courier: Companion, link: Link, carrier: Carrier, offers: Offers) -> None:
        self._loop = loop
        self._courier = courier
        self._link = link
        self._carrier = carrier
        self._offers = offers
        self._gathering: Moment | None = None
        self._sent = 0.0  # when the courier was last sent something

    def to_porter(self) -> None:
        """Send the porter what waits for it."""
        carrier = self._carrier
        if carrier.wants_room or carrier.companion.awaits_room:
            carrier.pump()
            carrier.companion.watch_room(carrier.wants_room)

    def to_herald(self) -> None:
        """Send the herald what waits for it."""
        offers = self._offers
        offers.pump()
        offers.companion.watch_room(offers.wants_write)

    def to_courier(self) -> None:
        """Send the courier what waits for it: at once after a quiet while, else when more may have come."""
        crowded = self._courier.awaits_room
        if not (self._link.wants_write or crowded):
            return
        due = self._sent + self._link.patience
        if crowded or due <= self._loop.now():
            self._to_courier_now()
        elif self._gathering is None or due < self._gathering.due:
            if self._gathering is not None:
                self._gathering.cancel()
            self._gathering = self._loop.at(due, self._to_courier_now)

    def _to_courier_now(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        self._sent = self._loop.now()
        try:
            self._link.pump()
        except ChannelClosed:
            self._link.detach()  # its death is told when it is reaped
        self._courier.watch_room(self._link.wants_write)
