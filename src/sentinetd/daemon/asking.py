"""What the engine asks and the porter finds out: names, users, hosts.allow and hosts.deny, PROXY headers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from stat import S_IROTH
from typing import Any

from sentinetd.daemon.clock import HOSTS_ACCESS
from sentinetd.daemon.messages import (
    AddressesAre,
    Answer,
    Asked,
    AskedAddresses,
    AskedHeader,
    AskedTables,
    AskedUser,
    HeaderSays,
    TableFile,
    TablesSay,
    User,
)
from sentinetd.model.address import Address
from sentinetd.model.connection import Announced
from sentinetd.model.events import Event, Level, Notice, UserUnknown
from sentinetd.model.noun import dataclass
from sentinetd.model.service import Flag, Service
from sentinetd.model.verdict import ADMIT, NO_SERVER, Question
from sentinetd.policy.effects import Ask
from sentinetd.policy.inputs import Answered, Input
from sentinetd.policy.tally import Recent

TELL_AGAIN_AFTER = 60.0
"""Seconds for which it is not told again that a peer sends no PROXY header."""
TOLD_AT_MOST = 1000
"""Peers of services of which that is told in that time."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question that waits for the porter's answer, and for which service."""

    effect: Ask
    service: Service


class Asking:
    """*send* has the porter sent a message with descriptors, which become its own, and gives it back to `unsaid` where
    there is no porter; *need* has one started. *handle* takes what the engine is to know, *report* what is to be told,
    *named* what a host name stands for, *now* gives the loop's time."""

    def __init__(
        self,
        send: Callable[..., None],
        need: Callable[[], None],
        handle: Callable[[Input], None],
        report: Callable[[Event], None],
        named: Callable[[AddressesAre], None],
        now: Callable[[], float],
    ) -> None:
        self._send = send
        self._need = need
        self._handle = handle
        self._report = report
        self._named = named
        self._now = now
        self._asked: dict[int, _Asked] = {}
        self._tables: dict[str, int] = {}  # inodes of the tables that the porter has, by path
        self._unannounced = Recent(TELL_AGAIN_AFTER, TOLD_AT_MOST)  # peer and service
        self._heard: dict[type[Any], Callable[[Any], None]] = {
            Answer: self._value_said,
            AddressesAre: named,
            TablesSay: self._tables_said,
            User: self._user_said,
            HeaderSays: self._header_said,
        }

    def ask(self, effect: Ask, service: Service, local: tuple[Address, int]) -> None:
        """Put a question of the engine; *local* is the address and port at which the connection came."""
        number, source, port = effect.connection.number, effect.source.text, effect.connection.port
        self._asked[number] = _Asked(effect, service)
        here, at = local[0].text, local[1]
        match effect.question:
            case Question.NAME:
                self._send(Asked(number, effect.question, source, effect.seconds))
            case Question.TABLES:
                self._hand_tables()
                self._send(AskedTables(number, service.libwrap_name, source, port, here, at, effect.seconds))
            case Question.USER | Question.REFUSED_USER:
                self._send(AskedUser(number, source, port, here, at, effect.seconds))
            case Question.PROXY:
                raise ValueError(effect.question)  # see `read_header`

    def look_up(self, asked: AskedAddresses) -> None:
        """Have it found out what a host name stands for. EdgeError if no porter can be had."""
        self._need()
        self._send(asked)

    def read_header(self, effect: Ask, service: Service, descriptor: int) -> None:
        """Have the porter read the PROXY header that a connection begins with. OSError if no descriptor can be had. The
        caller keeps its own *descriptor*."""
        copy = os.dup(descriptor)
        self._asked[effect.connection.number] = _Asked(effect, service)
        self._send(AskedHeader(effect.connection.number, effect.seconds), copy)

    def _hand_tables(self) -> None:
        """Give the porter what of hosts.allow and hosts.deny is not for everybody to read. It follows changes of the
        text by itself, not another file in its place."""
        for deny, path in enumerate(HOSTS_ACCESS):
            try:
                found = os.stat(path)
                if not found.st_mode & S_IROTH and self._tables.get(path) != found.st_ino:
                    self._send(TableFile(bool(deny)), os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
                    self._tables[path] = found.st_ino
            except OSError:
                continue  # the porter, which cannot open it either, says what is wrong

    def heard(self, message: Any) -> None:
        """The porter answers a question."""
        self._heard[type(message)](message)

    def unsaid(self, message: Any) -> None:
        """There is no porter for *message*, perhaps a question: a missing fact denies."""
        if isinstance(message, AskedAddresses):
            self._named(AddressesAre(message.name, None))
        elif isinstance(message, Asked | AskedTables | AskedUser | AskedHeader):
            self._answered(message.number, None)

    def begun(self) -> None:
        """A new porter, which has no tables."""
        self._tables.clear()

    def gone(self) -> None:
        """The porter has ended and will answer nothing."""
        for number in list(self._asked):
            self._answered(number, None)

    def _answered(self, number: int, value: str | Announced | None) -> None:
        asked = self._asked.pop(number, None)
        if asked is not None:
            self._handle(Answered(number, asked.effect.question, value))

    def _waits(self, number: int, *questions: Question) -> _Asked | None:
        """What connection *number* waits for, if it is one of *questions*: of another it may hear too late."""
        asked = self._asked.get(number)
        return asked if asked is not None and asked.effect.question in questions else None

    def _value_said(self, message: Answer) -> None:
        if self._waits(message.number, message.question) is not None:
            self._answered(message.number, message.value)

    def _tables_said(self, message: TablesSay) -> None:
        asked = self._waits(message.number, Question.TABLES)
        if asked is None:
            return
        where = f" by {message.where}" if message.where else ""
        if not message.admit:
            self._notice(
                Level.INFO,
                f"libwrap refused connection to {asked.service.id} (libwrap={asked.service.libwrap_name}) from "
                f"{asked.effect.source.text}{where}",
            )
        if message.spawns:
            self._notice(Level.WARNING, f"the shell command of the rule{where} was not run")
        self._answered(message.number, ADMIT if message.admit else "")

    def _user_said(self, message: User) -> None:
        asked = self._waits(message.number, Question.USER, Question.REFUSED_USER)
        if asked is None:
            return
        connection, question, source = asked.effect.connection, asked.effect.question, asked.effect.source
        if message.name is None and question is Question.REFUSED_USER:
            if message.why != NO_SERVER:  # which most hosts have not
                self._notice(Level.ERROR, f"Failed to contact identity server at {source.text}: {message.why}")
        elif message.name is None and Flag.IDONLY in asked.service.flags:
            self._report(UserUnknown(time.time(), connection.service, asked.service.id, source, message.why))
        self._answered(message.number, message.name)

    def _header_said(self, message: HeaderSays) -> None:
        asked = self._waits(message.number, Question.PROXY)
        if asked is None:
            return
        peer, name = asked.effect.source.text, asked.service.id
        if message.announced is None and self._unannounced.first((peer, name), self._now()):
            self._notice(Level.WARNING, f"service {name}: {peer}, which proxy_protocol lists, sent {message.why}")
        self._answered(message.number, message.announced)

    def _notice(self, level: Level, text: str) -> None:
        self._report(Notice(time.time(), level, text))
