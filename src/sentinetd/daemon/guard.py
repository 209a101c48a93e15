"""The guard at work: what comes in is an input of the engine, what the engine wants is handed to the room that can.

Here the parts are held together; each of them is somewhere else.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Collection
from errno import EBADF
from typing import TYPE_CHECKING, Any

from sentinetd.config.directories import CONTROL
from sentinetd.daemon.carrier import Carrier
from sentinetd.daemon.catching import Catching
from sentinetd.daemon.channel import Channel, ChannelClosed
from sentinetd.daemon.clock import Clock
from sentinetd.daemon.companion import Companion
from sentinetd.daemon.doors import Doors
from sentinetd.daemon.enforcement import Enforcement
from sentinetd.daemon.hostnames import HostNames
from sentinetd.daemon.inquiries import Inquiries
from sentinetd.daemon.instructions import Instructions
from sentinetd.daemon.launcher import Launcher
from sentinetd.daemon.link import Link
from sentinetd.daemon.logs import Logs
from sentinetd.daemon.loop import Loop, Moment
from sentinetd.daemon.messages import (
    FROM_COURIER,
    ORDERS,
    Agreed,
    Curious,
    Disagreed,
    Full,
    Greeting,
    LongerBans,
    OrderReload,
    Query,
    Ready,
    Restored,
    RestoredExemptions,
    Written,
)
from sentinetd.daemon.messages import Obeyed as ObeyedMessage
from sentinetd.daemon.offers import Offers
from sentinetd.daemon.pulse import Pulse
from sentinetd.daemon.recall import Recall
from sentinetd.daemon.recipes import NO_ADDRESS, recipe_of_program
from sentinetd.daemon.replies import LONGEST_BANNER, Replies, open_banner, say
from sentinetd.daemon.sockets import Sockets
from sentinetd.errors import EdgeError
from sentinetd.model.address import AddressSet
from sentinetd.model.connection import Connection
from sentinetd.model.events import (
    ON_REQUEST,
    Diagnosed,
    Event,
    Heartbeat,
    Level,
    Notice,
    ProcessFailed,
    ProcessMended,
    ServiceResumed,
)
from sentinetd.model.manner import Manner, manner_of
from sentinetd.model.service import Service, SocketType
from sentinetd.model.settings import CourierSettings, FirewallSettings, Settings
from sentinetd.model.verdict import Question
from sentinetd.net.host_addresses import Watcher, exempt_own, on_link
from sentinetd.policy.effects import (
    Ask,
    Exempted,
    Expire,
    Forget,
    Grant,
    HangUp,
    Impose,
    Lift,
    Obeyed,
    Pause,
    Play,
    Rearm,
    Refuse,
    Release,
    Reply,
    Report,
    Restate,
    Resume,
    Say,
    Serve,
    Signal,
    Suspend,
)
from sentinetd.policy.engine import Engine
from sentinetd.policy.inputs import (
    Answered,
    Arrived,
    Ended,
    Escalated,
    Exhausted,
    Heeded,
    Input,
    LaunchFailed,
    LoggedIn,
    Moved,
    Ordered,
    Surroundings,
    Tick,
    Wanted,
)
from sentinetd.serve.tcpmux import GO
from sentinetd.spawn.spawner import Backend

if TYPE_CHECKING:
    from sentinetd.firewall.command import Command
    from sentinetd.net.listener import Listener

RESTORE_SILENCE = 20.0
"""Seconds without a word of the courier after which the start goes on without the bans of before."""
LONGEST_GREETING = 4096
"""Bytes of a banner that greets in place of a decoy."""
FAREWELL = 5.0
"""Seconds that the courier has to write what is left when the daemon ends."""


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
        self._began = self.loop.now()
        self._pulse = Pulse(self.loop, self._beat)
        self.engine = Engine(settings, limit, log_procs, _dice)
        self.link = Link(time.time)
        self.logs = Logs(self.link)
        self.sockets = Sockets(os.path.join(run, CONTROL), lambda text: self.notice(Level.ERROR, text))
        self.instructions = Instructions(
            self.loop,
            self.link,
            self.equip,
            lambda fault: self.tell(Diagnosed(time.time(), Level.ERROR, str(fault))),
            self.notice,
            self.sockets,
        )
        self.inquiries = Inquiries(self, config)
        self.doors = Doors(
            self.loop, self._on_arrival, self._on_want, self._on_front, self._on_exhaustion, self.tell, time.time
        )
        self.reload: Callable[[Callable[[str], None]], None] | None = None  # tells why it could not be done, or ""
        self._settings = settings
        self._greeting = greeting
        self._equipped: frozenset[str] = frozenset()  # types of alert that the courier has loaded what they need
        self._watcher: Watcher | None = None
        self._inputs: deque[Input] = deque()
        self._at_work = False
        self._tick: Moment | None = None
        self._gathering: Moment | None = None
        self._writing = {"courier": False, "porter": False, "herald": False}
        self._failed: set[str] = set()
        self._last_word = 0.0
        self.courier = Companion(
            self.loop,
            "sentinetd.daemon.courier",
            courier_arguments,
            FROM_COURIER,
            begun=self._courier_begun,
            said=self._courier_said,
            died=lambda why, pause: self._companion_died("courier", why, pause),
            garbled=lambda why: self._garbled("courier", why),
        )
        self.recall = Recall(
            self.handle, lambda: len(self.engine.bans.ledger), self.tell, lambda why: self._garbled("courier", why)
        )
        self.launcher = Launcher(self.loop, files, backend, lambda: self.engine.services, self.handle, self.tell)
        self.carrier = Carrier(
            self.loop,
            porter_arguments,
            self.handle,
            self.tell,
            self.doors.meet,
            named=lambda found: self.hostnames.answered(found),
        )
        self.hostnames = HostNames(self.loop, self.carrier.look_up, self.handle, self.notice)
        self.offers = Offers(self.loop, porter_arguments, run, self.tell)
        self.catching = Catching(self.loop, run, self.tell)
        self._offered = 0  # the changes of doors up to which everything is offered
        self._advertise = False
        self.replies = Replies(self.doors, self.engine)
        self.enforcement = Enforcement(self.loop, self.doors, self.engine.bans, self._firewall_program, self.tell)
        self._perform: dict[type[Any], Callable[[Any], None]] = {
            Serve: lambda effect: self._serve(effect.connection),
            Reply: lambda effect: self.replies.reply(effect.connection),
            Grant: lambda effect: say(self.doors.descriptor(effect.connection), GO),
            HangUp: lambda effect: self.carrier.hang_up(effect.number),
            Say: self._say,
            Play: lambda effect: self._play(effect.connection),
            Ask: self._ask,
            Refuse: lambda effect: self._refuse(effect.connection),
            Release: lambda effect: self.doors.release(effect.connection),
            Pause: lambda effect: self.doors.pause(effect.number),
            Resume: lambda effect: self._resume(effect.number),
            Suspend: lambda effect: self.doors.suspend(effect.number),
            Rearm: lambda effect: self.doors.rearm(effect.connection),
            Impose: lambda effect: self.enforcement.impose(effect.network, effect.until),
            Lift: lambda effect: self.enforcement.lift(effect.network),
            Expire: lambda effect: self.enforcement.expire(effect.network),
            Restate: lambda effect: self.enforcement.restate(),
            Exempted: lambda effect: self.enforcement.exempt(),
            Obeyed: lambda effect: self.link.say(
                ObeyedMessage(effect.request, effect.ok, effect.text, effect.done, effect.refused)
            ),
            Signal: lambda effect: self._signal(effect.pid, effect.signal),
            Forget: lambda effect: self._forget(effect.number),
            Report: lambda effect: self._report(effect.event),
        }

    # The one way in, and what follows after each turn of the loop.

    def handle(self, given: Input) -> None:
        """Let the engine handle *given* and do what it wants. Inputs that arise from that wait their turn."""
        self._inputs.append(given)
        if self._at_work:
            return
        self._at_work = True
        try:
            while self._inputs:
                for effect in self.engine.handle(self._inputs.popleft(), self.clock.moment()):
                    self._perform[type(effect)](effect)
        finally:
            self._at_work = False

    def _report(self, event: Event) -> None:
        if self.logs.wants(event):
            self.link.tell(event)

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
        in force in the kernel before it is told."""
        self.enforcement.settle()
        self._pump_link()
        self.carrier.pump()
        self._watch_writes("porter", self.carrier.wants_write, self.carrier.companion.watch_writes)
        if self._offered != self.doors.changes:
            self._offered = self.doors.changes
            self.offers.refresh(self.doors.offers(), self._advertise)
            self.catching.refresh(self.doors.caught())
        if self.offers.stirred:
            self.offers.pump()
            self._watch_writes("herald", self.offers.wants_write, self.offers.companion.watch_writes)
        self.launcher.settle()
        due = self.engine.deadline()
        if due is not None and (self._tick is None or due < self._tick.due):
            if self._tick is not None:
                self._tick.cancel()
            self._tick = self.loop.at(due, self._on_tick)

    def _pump_link(self) -> None:
        """Send the courier what waits for it, or have that done when more may have come."""
        patience = self.link.patience if self.link.wants_write and not self._writing["courier"] else 0.0
        if not patience:
            self._pump_link_now()
            return
        due = self.loop.now() + patience
        if self._gathering is None or due < self._gathering.due:
            if self._gathering is not None:
                self._gathering.cancel()
            self._gathering = self.loop.at(due, self._pump_link_now)

    def _pump_link_now(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        try:
            self.link.pump()
        except ChannelClosed:
            self.link.detach()  # its death is told when it is reaped
        self._watch_writes("courier", self.link.wants_write, self.courier.watch_writes)

    def _watch_writes(self, name: str, wanted: bool, watch: Callable[[Callable[[], None] | None], None]) -> None:
        """The write itself is in `settle`; the watch only wakes the loop for it."""
        if wanted != self._writing[name]:
            self._writing[name] = wanted
            watch(_nothing if wanted else None)

    def _on_tick(self) -> None:
        self._tick = None
        self.handle(Tick())

    # Arrivals.

    def _on_arrival(self, connection: Connection) -> None:
        self.handle(Arrived(connection))

    def _on_want(self, connection: Connection) -> None:
        self.handle(Wanted(connection))

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

    def _refuse(self, connection: Connection) -> None:
        if not self.carrier.shun(connection.number):
            self.doors.refuse(connection)

    def _on_exhaustion(self, number: int) -> None:
        self.handle(Exhausted(number))

    def _resume(self, number: int) -> None:
        name = self.engine.services[number].name
        self.doors.resume(number, lambda: self.tell(ServiceResumed(time.time(), name)))

    # Servers.

    def _serve(self, connection: Connection) -> None:
        service = self.engine.services.get(connection.service)
        manner = None if service is None else manner_of(service)
        if service is None or manner is Manner.SERVER or (manner is Manner.INTERCEPTED and connection.source is None):
            self._launch(connection)
            return
        if manner is Manner.INTERCEPTED:
            self._join(connection, service)
            return
        try:
            descriptor = self.doors.descriptor(connection)
        except KeyError:
            self._inputs.append(LaunchFailed(connection.number, EBADF))
            return
        if manner is Manner.CHOSEN:
            self.carrier.choose(connection, descriptor)
        else:
            self.carrier.carry(connection, service, descriptor, self.replies.position)

    def _join(self, connection: Connection, service: Service) -> None:
        """Have an admitted client carried to its intercepted server."""
        try:
            way, port = self.doors.way(connection.service)
        except (KeyError, OSError) as error:
            self._inputs.append(LaunchFailed(connection.number, getattr(error, "errno", EBADF)))
            return
        if service.socket_type is SocketType.STREAM:
            self.carrier.join(connection, self.doors.descriptor(connection), way, port)
        else:
            self.carrier.admit(connection, way)

    def _ask(self, effect: Ask) -> None:
        try:
            service = self.engine.services[effect.connection.service]
            self.carrier.need()
            if effect.question is Question.PROXY:
                self.carrier.read_header(effect, service, self.doors.descriptor(effect.connection))
            else:
                self.carrier.ask(effect, service, self.doors.local(effect.connection))
        except (KeyError, OSError, EdgeError):  # the connection was closed meanwhile, or no porter can be had
            self._inputs.append(Answered(effect.connection.number, effect.question, None))

    def _play(self, connection: Connection) -> None:
        """Have the porter go on with whoever touched a sensor."""
        service = self.engine.services[connection.service]
        greeting = None
        if service.banner:
            try:
                with open_banner(service.banner) as file:
                    greeting = file.read(LONGEST_GREETING) or b""
            except OSError as error:
                self._no_banner(service.id, service.banner, error.strerror or str(error))
        self.carrier.play(connection, service, self.doors.descriptor(connection), greeting)

    def _no_banner(self, name: str, path: str, why: str) -> None:
        self.notice(Level.ERROR, f"service = {name}, open of banner {path} failed: {why}")

    def _say(self, effect: Say) -> None:
        """Send a banner; a last one by the porter, which waits until the client has read it: to close a connection with
        bytes unread would destroy it on its way (tcp(7))."""
        connection = effect.connection
        try:
            descriptor = self.doors.descriptor(connection)
            with open_banner(effect.path) as file:
                if not (effect.last and self.carrier.say_last(connection.number, descriptor, file.fileno())):
                    say(descriptor, file.read(LONGEST_BANNER) or b"")
        except (KeyError, OSError) as error:
            why = getattr(error, "strerror", None) or "the connection is gone"
            self._no_banner(self.doors.name(connection.service), effect.path, why)

    def _launch(self, connection: Connection) -> None:
        try:
            descriptor = self.doors.descriptor(connection)
        except KeyError:
            self._inputs.append(LaunchFailed(connection.number, EBADF))  # the listener was closed meanwhile
            return
        source = connection.source
        host = NO_ADDRESS if source is None else source.text
        self.launcher.launch(connection.number, connection.service, descriptor, host)

    def _firewall_program(self, settings: FirewallSettings) -> Command:
        """What feeds bans to the program of *settings*."""
        from sentinetd.firewall.command import Command  # for those who want it

        recipe = recipe_of_program(settings.command, settings.credentials)
        return Command(settings, lambda descriptor: self.launcher.start_aside(recipe, descriptor), self.loop.now)

    def _signal(self, pid: int, number: int) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return  # ended, and about to be reaped

    def _forget(self, number: int) -> None:
        self.logs.leave(number)
        self.launcher.forget(number)

    def reap(self) -> None:
        """Collect every child that has ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            code = -1 if number else os.WEXITSTATUS(status)
            how = f"killed by {signal.Signals(number).name}" if number else f"exit status {code}"
            if pid == self.courier.pid:
                self.link.detach()
                self.courier.reaped(how)
            elif pid == self.carrier.companion.pid:
                self._writing["porter"] = False
                self.carrier.reaped(how)
            elif pid == self.offers.companion.pid:
                self._writing["herald"] = False
                self.offers.reaped(how)
            elif not self.launcher.reaped(pid, how):
                self.handle(Ended(pid, code, number))

    # The courier.

    def _courier_begun(self, channel: Channel) -> None:
        self._writing["courier"] = False
        self._last_word = self.loop.now()
        self._heed(())  # until it says otherwise
        self.link.attach(channel, self._greeting)

    def _courier_said(self, message: Any) -> None:
        self._last_word = self.loop.now()
        if isinstance(message, Written):
            self.link.answered(message.sequence)
        elif isinstance(message, Restored | RestoredExemptions):
            self.recall.restored(message)
        elif isinstance(message, LongerBans):
            self.handle(Escalated(message.bans))
        elif isinstance(message, Agreed | Disagreed):
            self.instructions.heard(message)
        elif isinstance(message, Full):
            self.instructions.rotate(message)
        elif isinstance(message, Curious):
            self._heed(message.kinds)
        elif isinstance(message, OrderReload):
            self._reload_ordered(message)
        elif isinstance(message, ORDERS):
            self.handle(Ordered(message.request, message.order, message.who))
        elif isinstance(message, Query):
            for answer in self.inquiries.answer(message):
                self.link.say(answer)
        elif isinstance(message, Ready):
            self._mended("courier")
            self.recall.ready(message, self.courier)

    def equip(self, settings: CourierSettings) -> None:
        """Have a courier that has loaded what the alerts of *settings* need: it does so before it gives up its rights,
        since it may be unable to read where that is afterwards."""
        types = frozenset(alert.type for alert in settings.alerts)
        if not types <= self._equipped:
            self._equipped |= types
            self.courier.add_argument("--alerts")  # the last one counts
            self.courier.add_argument(",".join(sorted(self._equipped)))
            self.courier.renew()

    def _heed(self, kinds: Collection[str]) -> None:
        """Listeners in the courier want to hear of these *kinds* of event, which are not told otherwise."""
        self.logs.listen(kinds)
        self.handle(Heeded(frozenset(kind for kind in ON_REQUEST if kind.kind in kinds)))
        self._pulse.want(Heartbeat.kind in kinds)

    def _beat(self) -> None:
        """Tell that we live."""
        wall, uptime = time.time(), self.loop.now() - self._began
        servers, bans = len(self.engine.servers()), len(self.engine.bans.ledger)
        self.tell(Heartbeat(wall, uptime, self.doors.open_count, servers, bans))

    def _reload_ordered(self, message: OrderReload) -> None:
        """Read the configuration again once the loop is done with what it is at; the engine decides nothing in it."""

        def answer(why_not: str) -> None:
            self.link.say(ObeyedMessage(message.request, not why_not, why_not or "reloaded", 0, ()))

        def reload() -> None:
            self.notice(Level.NOTICE, f"reload ordered by {message.who}")
            if message.order.source is not None:
                self.handle(LoggedIn(message.order.source))
            if self.reload is None:
                answer("the daemon has not begun yet")
            else:
                self.reload(answer)

        self.loop.after(0.0, reload)

    def restore(self) -> str:
        """Start the courier and wait until the bans of before are in force. What is wrong with the store, or ""."""
        self.courier.start(self.loop.now())
        self._last_word = self.loop.now()
        self.settle()
        while self.recall.outcome is None:
            if self.loop.now() - self._last_word > RESTORE_SILENCE:
                return f"the courier said nothing for {RESTORE_SILENCE:.0f} seconds"
            self.turn(1.0)
        return self.recall.outcome

    def _companion_died(self, name: str, why: str, pause: float) -> None:
        self._failed.add(name)
        self._writing[name] = False
        self.tell(ProcessFailed(time.time(), name, why, pause))

    def _mended(self, name: str) -> None:
        if name in self._failed:
            self._failed.discard(name)
            self.tell(ProcessMended(time.time(), name))

    def _garbled(self, name: str, why: str) -> None:
        self.notice(Level.ERROR, f"a message of the {name} was dropped: {why}")

    # The host's own addresses.

    def look_around(self) -> None:
        """Learn which addresses are the host's own, now and whenever they change."""
        try:
            self._watcher = Watcher()
            self.loop.read(self._watcher.fileno(), self._host_changed)
        except EdgeError as error:
            self.notice(Level.WARNING, f"changes of the host's own addresses will not be noticed: {error}")
        self._moved()

    def _host_changed(self) -> None:
        if self._watcher is not None and self._watcher.drain():
            self._moved()

    def _moved(self) -> None:
        try:
            around = Surroundings(exempt_own(), AddressSet(tuple(on_link())))
        except EdgeError as error:
            self.notice(Level.ERROR, f"the host's own addresses cannot be read and may get banned: {error}")
            return
        self.handle(Moved(around))
        self.offers.moved()
        self.catching.moved()

    # The end.

    def farewell(self, last: Any) -> list[Event]:
        """Have everything written and the other processes ended. What could not be written in time."""
        self.catching.close()
        self.sockets.close()
        self.enforcement.close()
        self.courier.leave()
        self.carrier.companion.leave()
        self.offers.companion.leave()
        self.link.say(last)
        self.settle()
        end = self.loop.now() + FAREWELL
        while (not self.offers.gone() or (self.link.behind and self.courier.pid)) and self.loop.now() < end:
            self.turn(0.2)
        return self.link.remaining()


def _dice() -> float:
    """A number of 0 to 1, by chance: nobody can foresee it."""
    return int.from_bytes(os.urandom(4), "big") / 0xFFFFFFFF


def _nothing() -> None:
    """The loop woke up; `Guard.settle` does the rest."""
