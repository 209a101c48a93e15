"""The courier's settings on the guard's side: files opened, a proposal made, the courier's yes or its objections heard.

The courier's yes comes before anything of a new configuration is in force. One whose settings hold nothing for the
courier, now or before, asks nothing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count

from sentinetd.config.load import Loaded
from sentinetd.daemon.channel import PACKET, decode, encode
from sentinetd.daemon.link import Link
from sentinetd.daemon.log_file import open_log
from sentinetd.daemon.loop import Loop, Moment
from sentinetd.daemon.messages import Agreed, Disagreed, Full, Instructed
from sentinetd.daemon.sockets import Sockets
from sentinetd.errors import EdgeError, MessageError
from sentinetd.model.diagnostic import Diagnostic, Scope
from sentinetd.model.events import Level
from sentinetd.model.noun import replace
from sentinetd.model.settings import ControlSettings, CourierSettings, FileUse, FileWanted, Mistake, Settings

WITHIN = 20.0
"""Seconds in which the courier has to answer; it is started again in that time if need be."""
LARGEST = PACKET - 1024
"""Bytes of the courier's part of the settings: they cross in one packet."""
LARGEST_FILE = 1 << 20
"""Bytes of a file that the courier is to read: certificates, keys, lists of words."""

Answered = Callable[[Sequence[Diagnostic]], None]


class Instructions:
    """What the courier was told to do. *equip* has a courier that can do as settings say. *object_* tells a mistake
    that is found when the settings are in force already, by a courier that was started anew; *notice* tells what goes
    wrong otherwise. *sockets* has those that the courier is to listen at, None: there are none."""

    def __init__(
        self,
        loop: Loop,
        link: Link,
        equip: Callable[[CourierSettings], None],
        object_: Callable[[Diagnostic], None],
        notice: Callable[[Level, str], None],
        sockets: Sockets | None = None,
    ) -> None:
        self._loop = loop
        self._link = link
        self._equip = equip
        self._object = object_
        self._notice = notice
        self._sockets = sockets
        self._numbers = count(1)
        self._in_force: Loaded | None = None
        self._proposed: Loaded | None = None
        self._request = 0  # of the proposal; afterwards of what is in force
        self._request_in_force = 0
        self._answered: Answered | None = None  # while the courier has not said anything
        self._timer: Moment | None = None

    def propose(self, loaded: Loaded, answered: Answered) -> None:
        """Ask the courier whether it can do what *loaded* says; *answered* is called with what is wrong, maybe at
        once. A proposal that is still unanswered is withdrawn and its *answered* never called."""
        self.abandon()
        if self._sockets is not None:
            loaded = replace(loaded, settings=self._sockets.wanted(loaded.settings))
        before = Settings() if self._in_force is None else self._in_force.settings
        wanted = loaded.settings
        if wanted.courier == before.courier and not wanted.files and not before.files:
            answered(())
            return
        oversize = _oversize(wanted.courier) if _asks(wanted) else ""
        if oversize:
            way_out = "have fewer of them, or shorter lists"
            answered([Diagnostic(Scope.FILE, loaded.place("", 0, ""), oversize, way_out)])
            return
        descriptors, faults = self._open_all(loaded)
        if faults:
            answered(faults)
            return
        self._proposed = loaded
        self._request = next(self._numbers)
        self._answered = answered
        self._timer = self._loop.after(WITHIN, self._silent)
        self._equip(wanted.courier)
        self._link.propose(Instructed(self._request, wanted.courier), descriptors)
        if not (_asks(wanted) or _asks(before)):
            self._conclude(())  # nobody wrote anything that could be mistaken: a silent courier keeps no service away

    def enact(self) -> None:
        """What was proposed last, and agreed to, is in force."""
        if self._proposed is not None:
            self._link.enact()
            self._in_force, self._proposed = self._proposed, None
            self._request_in_force = self._request

    def rotate(self, message: Full) -> None:
        """A file has its full size: keep it under another name, and begin a new one. The courier's word alone moves
        nothing."""
        loaded = self._in_force
        if loaded is None or message.request != self._request_in_force:
            return
        if not 0 <= message.number < len(loaded.settings.files):
            return
        file = loaded.settings.files[message.number]
        try:
            self._link.replace_file(message.number, rotated(file))
        except EdgeError as error:
            self._notice(Level.ERROR, f"{file.path} cannot be rotated: {error}; it is written on")

    def abandon(self) -> None:
        """Nothing that was proposed comes in force any more, as when the daemon ends."""
        self._forget_question()
        self._link.withdraw()
        self._proposed = None

    def heard(self, message: Agreed | Disagreed) -> None:
        """The courier has answered."""
        loaded = self._proposed or self._in_force
        if message.request != self._request or loaded is None:
            return
        faults = [as_diagnostic(loaded, one) for one in message.mistakes] if isinstance(message, Disagreed) else []
        if self._answered is not None:
            self._conclude(faults)
            return
        for fault in faults:
            self._object(fault)

    def _silent(self) -> None:
        self._timer = None
        if self._proposed is not None:
            where = self._proposed.place("", 0, "")
            way_out = "see above what is wrong with it, and reload again"
            text = f"the courier said nothing for {WITHIN:.0f} seconds"
            self._conclude([Diagnostic(Scope.FILE, where, text, way_out)])

    def _conclude(self, faults: Sequence[Diagnostic]) -> None:
        answered = self._answered
        self._forget_question()
        if faults:
            self._link.withdraw()
            self._proposed = None
        if answered is not None:
            answered(faults)

    def _forget_question(self) -> None:
        self._answered = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _open_all(self, loaded: Loaded) -> tuple[list[int], list[Diagnostic]]:
        """Descriptors of all the files that the settings want, or, if some cannot be had, none and why."""
        descriptors: list[int] = []
        faults: list[Diagnostic] = []
        for file in loaded.settings.files:
            try:
                descriptors.append(self._open(file))
            except EdgeError as error:
                way_out = "mend the name or the permissions"
                faults.append(as_diagnostic(loaded, Mistake(file.table, file.number, file.key, str(error), way_out)))
        if faults:
            for descriptor in descriptors:
                os.close(descriptor)
            return [], faults
        return descriptors, []

    def _open(self, file: FileWanted) -> int:
        if file.use is FileUse.LISTEN and self._sockets is not None:
            return self._sockets.open(file)
        return open_file(file)


def _oversize(settings: CourierSettings) -> str:
    """Why *settings* cannot cross to the courier; empty if they can."""
    packet = encode(0, [Instructed(0, settings)])
    if len(packet) > LARGEST:
        return f"alerts and feeds, with all that belongs to them, take {len(packet)} bytes; {LARGEST} is the most"
    try:
        decode(packet, {Instructed.__name__: Instructed})
    except MessageError as error:
        return f"alerts and feeds, with all that belongs to them, are too much: {error}"
    return ""


def as_diagnostic(loaded: Loaded, mistake: Mistake) -> Diagnostic:
    """*mistake* as the operator is told of it."""
    place = loaded.place(mistake.table, mistake.number, mistake.key)
    name = f"{mistake.table}.{mistake.key}" if mistake.key else mistake.table
    return Diagnostic(Scope.FILE, place, mistake.text, mistake.way_out, name)


def _asks(settings: Settings) -> bool:
    """Whether *settings* hold anything for the courier beside the sockets of the control API, which come unasked."""
    others = replace(settings.courier, control=ControlSettings())
    return others != CourierSettings() or any(file.use is not FileUse.LISTEN for file in settings.files)


def open_file(file: FileWanted) -> int:
    """A descriptor of *file* for the courier. EdgeError if it cannot be had, or is too large to be what it should."""
    if file.use is FileUse.APPEND:
        descriptor = open_log(file.path)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        raise EdgeError(f"{file.path}: it is not a file")
    if file.use is FileUse.DIRECTORY:
        return _open_directory(file.path)
    try:
        descriptor = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise EdgeError(f"{file.path}: {error.strerror}") from error
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST_FILE:
        return descriptor
    os.close(descriptor)
    what = "not a file" if not stat.S_ISREG(status.st_mode) else f"larger than {LARGEST_FILE} bytes"
    raise EdgeError(f"{file.path}: it is {what}")


def _open_directory(path: str) -> int:
    """A descriptor of the directory of the file *path*, good for nothing but as a place (open(2), O_PATH)."""
    directory = os.path.dirname(path)
    try:
        return os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise EdgeError(f"{directory}: {error.strerror}") from error


def rotated(file: FileWanted) -> int:
    """A descriptor of a new *file*, while the one there was is ``.1`` now, the one before ``.2``, up to as many as are
    to be kept. One that is not full, since somebody else has rotated it, is only opened again."""
    try:
        status = os.stat(file.path)
        if not file.rotate or status.st_size < file.rotate:
            return open_file(file)
        for number in range(file.keep - 1, 0, -1):
            with suppress(FileNotFoundError):
                os.rename(f"{file.path}.{number}", f"{file.path}.{number + 1}")
        os.rename(file.path, f"{file.path}.1")
        descriptor = open_file(file)
        try:
            os.fchown(descriptor, status.st_uid, status.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
        except OSError:
            os.close(descriptor)
            raise
    except OSError as error:
        raise EdgeError(error.strerror or str(error)) from error
    return descriptor
