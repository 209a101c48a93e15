"""The guard at work: what comes in is an input of the engine, what the engine wants is handed to the room that can.

Here the parts are held together; each of them is somewhere else.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sentinetd.config.directories import CONTROL
from sentinetd.daemon.carrier import Carrier
from sentinetd.daemon.catching import Catching
from sentinetd.daemon.clock import Clock
from sentinetd.daemon.doors import Doors
from sentinetd.daemon.enforcement import Enforcement
from sentinetd.daemon.hearing import Hearing
from sentinetd.daemon.hostnames import HostNames
from sentinetd.daemon.inquiries import Inquiries
from sentinetd.daemon.instructions import Instructions
from sentinetd.daemon.launcher import Launcher
from sentinetd.daemon.link import Link
from sentinetd.daemon.logs import Logs
from sentinetd.daemon.loop import Loop, Moment
from sentinetd.daemon.messages import Greeting
from sentinetd.daemon.offers import Offers
from sentinetd.daemon.outflow import Outflow
from sentinetd.daemon.perform import Performer
from sentinetd.daemon.reaping import Reaper
from sentinetd.daemon.recipes import recipe_of_program
from sentinetd.daemon.replies import Replies
from sentinetd.daemon.sockets import Sockets
from sentinetd.daemon.stops import Stops
from sentinetd.daemon.whereabouts import Whereabouts
from sentinetd.model.connection import Connection
from sentinetd.model.events import Diagnosed, Event, Level, Notice
from sentinetd.model.service import Service
from sentinetd.model.settings import FirewallSettings, Settings
from sentinetd.policy.engine import Engine
from sentinetd.policy.inputs import Answered, Arrived, Chosen, Exhausted, Input, Moved, Surroundings, Tick, Wanted
from sentinetd.policy.inputs import Moment as PolicyMoment
from sentinetd.spawn.spawner import Backend

if TYPE_CHECKING:
    from sentinetd.firewall.command import Command
    from sentinetd.net.listener import Listener

FAREWELL = 5.0
"""Seconds that the courier has to write what is left when the daemon ends."""
LAST_BREATH = 1.0
"""Seconds that all others have to end after that. They end without us, too: a courier may have alerts to send."""


class Guard:
    """Owns the loop, the engine, the listeners and the other processes.

    *limit* and *log_procs* are as the engine's; *courier_arguments* and *porter_arguments* are what those are started
    with, the herald as the porter; *files* is the limit of open files that servers get by default; *backend* what
    starts servers, None for the best there is; *run* the directory of sockets and of what is registered with rpcbind;
    *config* names the configuration in answers.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        greeting: Greeting,
        limit: int | None,
        log_procs: int,
        files: int,
        backend: Backend | None,
        courier_arguments: list[str],
        porter_arguments: list[str],
        run: str,
        config: str,
    ) -> None:
        self.loop = Loop()
        self.clock = Clock()
        self.engine = Engine(settings, limit, log_procs, _dice)
        self.link = Link(time.time)
        self.logs = Logs(self.link)
        self.sockets = Sockets(os.path.join(run, CONTROL), lambda text: self.notice(Level.ERROR, text))
        self.instructions = Instructions(
            self.loop,
            self.link,
            lambda settings: self.hearing.equip(settings),
            lambda fault: self.tell(Diagnosed(time.time(), Level.ERROR, str(fault))),
            self.notice,
            self.sockets,
        )
        self.inquiries = Inquiries(self, config)
        self.doors = Doors(
            self.loop,
            self._arrived,
            lambda connection: self.handle(Wanted(connection)),
            self._on_front,
            lambda number: self.handle(Exhausted(number)),
            self.tell,
            time.time,
            lambda: self.carrier.laden(),
        )
        self.reload: Callable[[Callable[[str], None]], None] | None = None  # tells why it could not be done, or ""
        self._whereabouts = Whereabouts(self.loop, self._moved, self.notice)
        self._inputs: deque[Input] = deque()
        self._at_work = False
        self._tick: Moment | None = None
        self.hearing = Hearing(self, courier_arguments, greeting)
        self.courier = self.hearing.courier
        self.launcher = Launcher(
            self.loop, files, backend, lambda: self.engine.services, self._together, self.tell, self.doors.give_back
        )
        self.carrier = Carrier(
            self.loop,
            porter_arguments,
            self._told_by_porter,
            self.tell,
            self.doors.meet,
            named=lambda found: self.hostnames.answered(found),
        )
        self.hostnames = HostNames(self.loop, self.carrier.asking.look_up, self.handle, self.notice)
        self.offers = Offers(self.loop, porter_arguments, run, self.tell)
        self._outflow = Outflow(self.loop, self.courier, self.link, self.carrier, self.offers)
        self.reaper = Reaper(
            self.loop,
            self.launcher,
            [
                (self.courier, self.hearing.ended),
                (self.carrier.companion, self.carrier.reaped),
                (self.offers.companion, self.offers.reaped),
            ],
            self._together,
            self.engine,
            Stops(self.loop, self._processes, self.notice).stir,
        )
        self.catching = Catching(self.loop, run, self.tell)
        self._offered = 0  # the changes of doors up to which everything is offered
        self._advertise = False
        self.replies = Replies(
            self.doors, self.engine, lambda call: self.loop.after(0.0, call), lambda: self.launcher.hear()
        )
        self.enforcement = Enforcement(self.loop, self.doors, self.engine.bans, self._firewall_program, self.tell)
        self._perform = Performer(
            self.engine, self.doors, self.carrier, self.launcher, self.reaper, self.replies, self.enforcement,
            self.link, self.logs, self._inputs.append, self.tell,
        ).table  # fmt: skip

    def _processes(self) -> dict[str, int]:
        """Our other processes by name, 0 where there is none."""
        return {
            "courier": self.courier.pid,
            "porter": self.carrier.companion.pid,
            "herald": self.offers.companion.pid,
            "spawner": self.launcher.pid,
        }

    # The one way in, and what follows after each turn of the loop.

    def handle(self, given: Input) -> None:
        """Let the engine handle *given* and do what it wants. Inputs that arise from that wait their turn."""
        if self._at_work:
            self._inputs.append(given)
        else:
            self._work(given, self.clock.moment())

    def _together(self, inputs: Sequence[Input]) -> None:
        """As `handle`, of what was learnt at one moment."""
        if self._at_work:
            self._inputs += inputs
            return
        moment = self.clock.moment()
        for given in inputs:
            self._work(given, moment)

    def _arrived(self, connections: Iterable[Connection]) -> None:
        """What came together is judged as of one moment. Servers that have ended do not count against it."""
        moment = self.clock.moment()
        reaped = False
        for connection in connections:
            if not reaped and self.engine.crowded(connection):
                reaped = True
                self.reaper.reap()
                moment = self.clock.moment()
            self._work(Arrived(connection), moment)

    def _work(self, given: Input, moment: PolicyMoment) -> None:
        self._at_work = True
        try:
            for effect in self.engine.handle(given, moment):
                self._perform[type(effect)](effect)
            while self._inputs:
                for effect in self.engine.handle(self._inputs.popleft(), self.clock.moment()):
                    self._perform[type(effect)](effect)
        finally:
            self._at_work = False

    def tell(self, event: Event) -> None:
        """Have *event* written."""
        self.link.tell(event)

    def notice(self, level: Level, text: str) -> None:
        """Have a sentence written."""
        self.link.tell(Notice(time.time(), level, text))

    def turn(self, most: float | None = None) -> None:
        """One turn of the loop, of at most *most* seconds, and what it left to send."""
        self.loop.turn(most)
        self.settle()

    def offer(self, advertise: bool) -> None:
        """Have others told what services there are now; *advertise*: also by mDNS."""
        self._advertise = advertise
        self._offered = -1

    def settle(self) -> None:
        """Send what waits, and watch for room where there is none; have the engine ticked in time. What was banned is
        in force in the kernel, and the porter hears whom to hang up on, before it is told."""
        self.enforcement.settle()
        self._outflow.to_porter()
        if self.doors.waiting and not self.carrier.behind:
            self.doors.go_on()
        self._outflow.to_courier()
        if self._offered != self.doors.changes:
            self._offered = self.doors.changes
            self.offers.refresh(self.doors.offers(), self._advertise)
            self.catching.refresh(self.doors.caught())
        if self.offers.stirred:
            self._outflow.to_herald()
        due = self.engine.deadline()
        if due is not None and (self._tick is None or due < self._tick.due):
            if self._tick is not None:
                self._tick.cancel()
            self._tick = self.loop.at(due, self._on_tick)

    def _on_tick(self) -> None:
        self._tick = None
        self.handle(Tick())

    # What other processes do for the guard.

    def _told_by_porter(self, given: Input) -> None:
        """As `handle`. Whom an answer lets judge does not find servers in his way that have ended."""
        if isinstance(given, Answered | Chosen):
            self.reaper.reap()
        self.handle(given)

    def _on_front(self, number: int, public: Listener | None, port: int, service: Service) -> None:
        """Datagrams of *service*, which is number *number*, are to be carried to a private *port*, or not any more."""
        if public is None:
            self.carrier.leave(number)
            return
        user = service.credentials.uid
        try:
            self.carrier.attend(number, public.fileno(), port, os.geteuid() if user is None else user)
        except OSError as error:
            self.notice(Level.ERROR, f"datagrams of {service.id} are not carried: {error.strerror}")

    def _firewall_program(self, settings: FirewallSettings) -> Command:
        """What feeds bans to the program of *settings*."""
        from sentinetd.firewall.command import Command  # for those who want it

        recipe = recipe_of_program(settings.command, settings.credentials)
        return Command(settings, lambda descriptor: self.launcher.start_aside(recipe, descriptor), self.loop.now)

    # The host's own addresses.

    def look_around(self) -> None:
        """Learn which addresses are the host's own, now and whenever they change."""
        self._whereabouts.watch()

    def _moved(self, around: Surroundings) -> None:
        self.handle(Moved(around))
        self.doors.moved()
        self.offers.moved()
        self.catching.moved()

    # The end.

    def farewell(self, last: Any) -> list[Event]:
        """Have everything written and the other processes ended. What could not be written in time."""
        self.launcher.hear()
        self.catching.close()
        self.sockets.close()
        self.enforcement.close()
        if self.link.behind:
            self.courier.hasten()
        self.courier.leave()
        self.carrier.companion.leave()
        self.offers.companion.leave()
        self.link.say(last)
        self.settle()
        end = self.loop.now() + FAREWELL
        while (not self.offers.gone() or (self.link.behind and self.courier.pid)) and self.loop.now() < end:
            self.turn(0.2)
        self._await_ends(min(end, self.loop.now() + LAST_BREATH))
        return self.link.remaining()

    def _await_ends(self, end: float) -> None:
        """Let go of what is left of our processes until *end*: who waits for our exit finds the machine as it was."""
        self.link.detach()
        self.launcher.close()
        ours = (self.courier, self.carrier.companion, self.offers.companion)
        for one in ours:
            one.dismiss()
        while (any(one.pid for one in ours) or not self.launcher.gone) and self.loop.now() < end:
            self.loop.turn(0.1)
            self.reaper.reap()


def _dice() -> float:
    """A number of 0 to 1, by chance: nobody can foresee it."""
    return int.from_bytes(os.urandom(4), "big") / 0xFFFFFFFF
