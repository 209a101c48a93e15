"""Keeps what rpcbind has of ours as it is wanted: what is new is registered, what is old is removed, nothing else.

rpcbind takes registrations from whoever comes by its local socket, and lets go of one only for the user who made it or
for root. So this runs as a user of its own: it cannot take away what another program registered, by mistake or by
malice, and needs no right for what it does.

What is wanted is told again every `RENEWAL`: an rpcbind that was started anew has forgotten it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count

from sentinetd.announce.xdr import Malformed, Records, call, reply, text, truth, unsigned
from sentinetd.errors import EdgeError
from sentinetd.model.noun import dataclass
from sentinetd.model.offer import Registration

SOCKET = "/run/rpcbind.sock"
PROGRAM, VERSION, SET, UNSET = 100000, 4, 1, 2  # RFC 1833, section 2.1
ANSWER_WITHIN = 10.0
"""Seconds that rpcbind has for an answer."""
PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds between attempts while something is left to do; the last for ever."""
RENEWAL = 60.0
"""Seconds after which everything is registered again."""


@dataclass(slots=True)
class _Wish:
    """What is wanted of one registration. *address* None: that there is none. *clear*: what rpcbind has is to be
    removed first; *held*: it has it of us, as far as we know; *done*: nothing is left to do; *refused*: it has
    another's."""

    address: str | None = None
    clear: bool = False
    held: bool = False
    done: bool = False
    refused: bool = False


class Registrar:
    """*removed* is told what rpcbind does not have of us any more; *taken* that it does not take a registration, since
    it has another's, and that it does after all; *reached* why rpcbind cannot be reached, or "" when it can again."""

    def __init__(
        self,
        removed: Callable[[Registration], None],
        taken: Callable[[Registration, bool], None],
        reached: Callable[[str], None],
        path: str = SOCKET,
        renewal: float = RENEWAL,
    ) -> None:
        self._removed = removed
        self._taken = taken
        self._reached = reached
        self._path = path
        self._renewal = renewal
        self._wishes: dict[Registration, _Wish] = {}
        self._changed = asyncio.Event()
        self._trouble = ""
        self._numbers = count(1)

    def offer(self, registration: Registration, address: str) -> None:
        """From now on *registration* is at *address*, a universal one (RFC 5665: host, then the two bytes of the
        port)."""
        wish = self._wishes.setdefault(registration, _Wish())
        wish.clear = wish.clear or (wish.held and wish.address != address)
        wish.address = address
        wish.done = False
        self._changed.set()

    def withdraw(self, registration: Registration) -> None:
        """*registration* is not offered any more. One that is not known here was made by an earlier process of ours."""
        wish = self._wishes.setdefault(registration, _Wish(clear=True))
        wish.clear = wish.clear or wish.held
        wish.address = None
        wish.done = False
        self._changed.set()

    async def run(self) -> None:
        """Have done what is wanted, for ever."""
        attempts = 0
        while True:
            self._changed.clear()
            await self._attempt()
            if all(wish.done for wish in self._wishes.values()):
                attempts, pause = 0, self._renewal
            else:
                pause = PAUSES[min(attempts, len(PAUSES) - 1)]
                attempts += 1
            try:
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            except TimeoutError:
                for wish in self._wishes.values():
                    wish.done = False

    async def leave(self) -> None:
        """Remove all that is registered; one attempt."""
        for registration in list(self._wishes):
            self.withdraw(registration)
        await self._attempt()

    async def _attempt(self) -> None:
        """Do what is left to do, and tell if that cannot be done."""
        trouble = ""
        if any(not wish.done for wish in self._wishes.values()):
            try:
                await self._do()
            except TimeoutError:
                trouble = f"no answer within {ANSWER_WITHIN:.0f} seconds"
            except OSError as error:
                trouble = error.strerror or str(error)
            except EdgeError as error:
                trouble = str(error)
        if trouble != self._trouble:
            self._trouble = trouble
            self._reached(trouble)

    async def _do(self) -> None:
        async with asyncio.timeout(ANSWER_WITHIN):
            reader, writer = await asyncio.open_unix_connection(self._path)
        try:
            for registration, wish in list(self._wishes.items()):
                if not wish.done:
                    await self._fulfil(reader, writer, registration, wish)
        finally:
            writer.close()

    async def _fulfil(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, registration: Registration, wish: _Wish
    ) -> None:
        # What is wanted may change whenever rpcbind thinks; then there is more to do, and the caller comes again.
        if wish.clear:
            await self._ask(reader, writer, UNSET, registration, "")  # False: there was none, or it is not ours
            wish.clear = wish.held = False
        address = wish.address
        if address is None:
            del self._wishes[registration]
            self._removed(registration)
            return
        wish.held = True  # also where the answer does not come
        taken = wish.held = await self._ask(reader, writer, SET, registration, address)
        if wish.address != address:
            wish.clear = taken
            return
        wish.done = taken
        if taken is wish.refused:
            wish.refused = not taken
            self._taken(registration, taken)

    async def _ask(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        procedure: int,
        registration: Registration,
        address: str,
    ) -> bool:
        """Whether rpcbind did what it was asked. OSError, TimeoutError or EdgeError if it did not say."""
        number = next(self._numbers) & 0xFFFFFFFF
        arguments = unsigned(registration.program) + unsigned(registration.version)
        arguments += text(registration.netid) + text(address) + text("")  # the owner, which rpcbind finds out itself
        records = Records()
        async with asyncio.timeout(ANSWER_WITHIN):
            writer.write(call(number, PROGRAM, VERSION, procedure, arguments))
            await writer.drain()
            while data := await reader.read(1024):
                for record in records.feed(data):
                    answer = reply(record)
                    if answer.number != number:
                        raise Malformed("the reply to another call")
                    if answer.failure:
                        raise EdgeError(f"it says: {answer.failure}")
                    return truth(answer.results)
        raise EdgeError("it hung up")
