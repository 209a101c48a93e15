"""From a configuration that was read to the one in force, all or nothing: at the start, and at every reload.

What is new is bound first; only then the engine is told and what is old is closed. A start is a reload from nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence, Set
from itertools import count

from sentinetd.config.in_force import servable
from sentinetd.config.load import Loaded
from sentinetd.config.plan import Plan, plan
from sentinetd.daemon.clock import Tables
from sentinetd.daemon.guard import Guard
from sentinetd.daemon.hostnames import AT_START
from sentinetd.daemon.needs import Need, Needs, accepts_itself
from sentinetd.daemon.shadows import shadows
from sentinetd.errors import EdgeError
from sentinetd.model import diagnostic
from sentinetd.model.address import EVERYONE
from sentinetd.model.diagnostic import Diagnostic, Scope
from sentinetd.model.events import (
    Diagnosed,
    Level,
    ListenerFailed,
    ReloadDone,
    ReloadRefused,
    ReloadStarted,
    ServiceAdjusted,
    ServiceDropped,
)
from sentinetd.model.manner import multiplexed
from sentinetd.model.service import Flag, Service
from sentinetd.net.listener import AddressInUse
from sentinetd.policy.inputs import Reloaded

LEVELS = {
    diagnostic.Level.ERROR: Level.ERROR,
    diagnostic.Level.WARNING: Level.WARNING,
    diagnostic.Level.NOTICE: Level.NOTICE,
}


class Reloader:
    """Puts configurations in force, one after the other. *read* reads the files anew."""

    def __init__(self, guard: Guard, read: Callable[[], Loaded]) -> None:
        self._guard = guard
        self._read = read
        self._numbers = count(1)
        self._needs = Needs()
        self._unread: Set[tuple[str, str]] = frozenset()  # of the running configuration

    def reload(self, done: Callable[[str], None]) -> None:
        """Read the configuration again and put it in force, when the courier has said that it can; one that cannot be
        used changes nothing. *done* is called at the end, maybe at once, with the mistake that prevents it, or ""."""
        guard = self._guard
        guard.tell(ReloadStarted(time.time()))
        loaded = self._read()
        self.diagnose(loaded.diagnostics)
        if not loaded.usable_after(self._unread):
            self._refuse(loaded.diagnostics, done)
            return

        def answered(faults: Sequence[Diagnostic]) -> None:
            if faults:
                self.diagnose(faults)
                self._refuse(faults, done)
                return
            self.put_in_force(loaded)
            done("")

        guard.instructions.propose(loaded, answered)

    def _refuse(self, mistakes: Sequence[Diagnostic], done: Callable[[str], None]) -> None:
        self._guard.tell(ReloadRefused(time.time(), "the mistakes above concern the whole configuration"))
        done(next((str(one) for one in mistakes if one.scope in (Scope.FILE, Scope.PART)), "it cannot be used"))

    def instruct(self, loaded: Loaded, ending: Callable[[], bool]) -> Sequence[Diagnostic]:
        """At the start: wait until the courier has said what is wrong with its part of *loaded*, or we are *ending*.
        EdgeError if there can be no courier."""
        heard: list[Sequence[Diagnostic]] = []
        self._guard.instructions.propose(loaded, heard.append)
        self._guard.settle()
        while not heard and not ending():
            self._guard.hearing.await_courier()
        return heard[0] if heard else ()

    def diagnose(self, diagnostics: Sequence[Diagnostic]) -> None:
        """Tell every mistake."""
        for one in diagnostics:
            self._guard.tell(Diagnosed(time.time(), LEVELS[one.level], str(one)))

    def put_in_force(self, loaded: Loaded, first: bool = False) -> None:
        """Make *loaded*, which is usable, the running configuration."""
        guard = self._guard
        self._unread = loaded.unread
        wanted = [service for service in loaded.services if servable(service)]
        needs = self._needs.of(wanted)
        self._prepare(wanted, needs)
        guard.catching.configure(loaded.settings)
        guard.hostnames.want(_exempt_names(loaded, wanted))
        if first:
            self._await_names()
        wanted, unwatchable = self._watchable(wanted)
        if first:
            guard.enforcement.configure(loaded.settings)
            guard.enforcement.finish()
        next_number = next(self._numbers)
        change = plan(guard.engine.services, wanted, loaded.faulty | unwatchable, next_number)
        self._numbers = count(next_number + len(change.start) + 1)
        started, postponed, failed = self._open(change)
        guard.instructions.enact()
        guard.clock.tables_wanted = Need.TABLES in needs
        guard.clock.load_wanted = Need.LOAD in needs
        guard.launcher.hear()  # those that have just begun are judged, too
        guard.handle(Reloaded(loaded.settings, started, change.adjust, change.stop))
        guard.enforcement.configure(loaded.settings)
        guard.replies.refresh()
        guard.carrier.multiplex(
            service.name.lower() for service in guard.engine.services.values() if multiplexed(service)
        )
        for number in change.stop:
            guard.tell(ServiceDropped(time.time(), guard.doors.name(number)))
            guard.doors.close(number)
        for number, why in {**postponed, **failed}.items():
            self._open_late(number, started[number], why, retried=number in postponed)
        for number, service in change.adjust.items():
            self._adjust(number, service)
        guard.offer(loaded.settings.mdns.enabled)
        guard.catching.refresh(guard.doors.caught())
        self._warn_of_shadows()
        if not first:
            for number, trouble in guard.logs.refresh(guard.engine.services):
                guard.notice(Level.ERROR, f"log of service {number}: {trouble}; the old file is written on")
            old = len(change.keep) + len(change.adjust) + len(change.stayed)
            guard.tell(ReloadDone(time.time(), len(started), old, len(change.stop)))

    def _await_names(self) -> None:
        """Before the first accept it had better be known who must not be banned."""
        guard = self._guard
        end = guard.loop.now() + AT_START
        guard.settle()
        while not guard.hostnames.settled and guard.loop.now() < end:
            guard.turn(0.2)

    def _prepare(self, wanted: list[Service], needs: frozenset[Need]) -> None:
        """Have the companions and the kernel filter that the *wanted* services need."""
        guard = self._guard
        if Need.PORTER in needs:
            try:
                guard.carrier.need()
            except EdgeError as error:
                guard.notice(Level.CRITICAL, f"names cannot be looked up and nothing can be carried: {error}")
        if Need.FILTER not in needs:
            return
        try:
            guard.enforcement.need_filter()
        except EdgeError as error:
            guard.notice(Level.WARNING, f"the kernel cannot filter sources here: {error}")
        unjudged = [one.id for one in wanted if accepts_itself(one) and Flag.NOLIBWRAP not in one.flags]
        if unjudged and Tables().have_rules():
            guard.notice(
                Level.WARNING,
                f"hosts.allow or hosts.deny has rules, and servers that accept by themselves show no client to judge: "
                f"everybody is refused at {', '.join(unjudged)}; use flags = INTERCEPT, or NOLIBWRAP",
            )

    def _watchable(self, wanted: list[Service]) -> tuple[list[Service], frozenset[str]]:
        """Those of *wanted* to which can be brought what they watch, and the ids of the others, which are told."""
        able: list[Service] = []
        unable: set[str] = set()
        for service in wanted:
            why = self._guard.catching.why_not(service)
            if why:
                self._guard.tell(ListenerFailed(time.time(), service.id, why, 0.0))
                unable.add(service.id.lower())
            else:
                able.append(service)
        return able, frozenset(unable)

    def _warn_of_shadows(self) -> None:
        """Tell which programs have what sensors with addresses of their own should have."""
        try:
            texts = shadows(self._guard.engine.services.values())
        except EdgeError as error:
            texts = [f"which programs listen on all addresses cannot be seen: {error}"]
        for text in texts:
            self._guard.notice(Level.WARNING, text)

    def _open(self, change: Plan) -> tuple[dict[int, Service], dict[int, EdgeError], dict[int, EdgeError]]:
        """Open what is new: what is to run, what of it could not be opened because its address is in use (maybe by
        one of ours that stops), what for another reason."""
        guard = self._guard
        started: dict[int, Service] = {}
        postponed: dict[int, EdgeError] = {}
        failed: dict[int, EdgeError] = {}
        for number, service in change.start.items():
            why = self._unfilterable(service, change)
            if why:
                guard.tell(ListenerFailed(time.time(), service.id, why, 0.0))
                continue
            try:
                guard.logs.follow(number, service)
            except EdgeError as error:
                guard.tell(ListenerFailed(time.time(), service.id, str(error), 0.0))
                continue
            started[number] = service
            guard.launcher.teach(number, service)
            if multiplexed(service):
                guard.doors.admit(number, service)
                continue
            try:
                guard.doors.open(number, service)
            except AddressInUse as error:
                postponed[number] = error
            except EdgeError as error:
                failed[number] = error
        return started, postponed, failed

    def _unfilterable(self, service: Service, change: Plan) -> str:
        """Why *service* of *change* cannot be offered: its server accepts by itself, and the kernel cannot refuse for
        it."""
        if not accepts_itself(service):
            return ""
        lists = service.only_from != EVERYONE or bool(service.no_access)
        if service.only_from.names or service.no_access.names:
            return "a server that accepts by itself cannot be guarded by names; use flags = INTERCEPT, or addresses"
        if self._guard.doors.sieve.filter is not None:
            return ""
        if lists or any(one.sensor for one in (*change.start.values(), *change.keep.values())):
            return (
                "a server that accepts by itself cannot be guarded without BPF, which is not to be had here; use "
                "flags = INTERCEPT, or wait = no"
            )
        return ""

    def _open_late(self, number: int, service: Service, why: EdgeError, retried: bool) -> None:
        """Open what could not be opened at first, now that what is old is closed; else try again later."""
        doors = self._guard.doors
        if retried:
            try:
                doors.open(number, service)
            except EdgeError as error:
                why = error
            else:
                return
        doors.keep_trying(number, service, why)

    def _adjust(self, number: int, service: Service) -> None:
        guard = self._guard
        guard.tell(ServiceAdjusted(time.time(), service.id))
        guard.launcher.teach(number, service)
        try:
            guard.logs.follow(number, service)
            guard.doors.adjust(number, service)
        except EdgeError as error:
            guard.notice(Level.ERROR, f"service {service.id}: {error}; what it had before stays")


def _exempt_names(loaded: Loaded, wanted: list[Service]) -> set[str]:
    """The host names that are exempt, everywhere or from a sensor's bans."""
    bans = loaded.settings.bans
    lists = [bans.exempt, *(one.who for one in bans.exemptions), *(one.exempt for one in wanted if one.sensor)]
    return {name for one in lists for name in one.names}
