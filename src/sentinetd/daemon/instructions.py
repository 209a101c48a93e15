"""The courier's settings on the guard's side: files opened, a proposal made, the courier's yes or its objections heard.

The courier's yes comes before anything of a new configuration is in force. One whose settings hold nothing for the
courier, now or before, asks nothing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

from sentinetd.config.load import Loaded
from sentinetd.daemon.link import Link
from sentinetd.daemon.logs import open_log
from sentinetd.daemon.loop import Loop, Moment
from sentinetd.daemon.messages import Agreed, Disagreed, Instructed
from sentinetd.daemon.sockets import Sockets
from sentinetd.errors import EdgeError
from sentinetd.model.diagnostic import Diagnostic, Scope
from sentinetd.model.settings import FileUse, FileWanted, Mistake, Settings

WITHIN = 20.0
"""Seconds in which the courier has to answer; it is started again in that time if need be."""
LARGEST_FILE = 1 << 20
"""Bytes of a file that the courier is to read: certificates, keys, lists of words."""

Answered = Callable[[Sequence[Diagnostic]], None]


class Instructions:
    """What the courier was told to do. *object_* tells a mistake that is found when the settings are in force already:
    by a courier that was started anew. *sockets* has those that the courier is to listen at, None: there are none."""

    def __init__(
        self, loop: Loop, link: Link, object_: Callable[[Diagnostic], None], sockets: Sockets | None = None
    ) -> None:
        self._loop = loop
        self._link = link
        self._object = object_
        self._sockets = sockets
        self._numbers = count(1)
        self._in_force: Loaded | None = None
        self._proposed: Loaded | None = None
        self._request = 0  # of the proposal; afterwards of what is in force
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
        descriptors, faults = self._open_all(loaded)
        if faults:
            answered(faults)
            return
        self._proposed = loaded
        self._request = next(self._numbers)
        self._answered = answered
        self._timer = self._loop.after(WITHIN, self._silent)
        self._link.propose(Instructed(self._request, wanted.courier), descriptors)

    def enact(self) -> None:
        """What was proposed last, and agreed to, is in force."""
        if self._proposed is not None:
            self._link.enact()
            self._in_force, self._proposed = self._proposed, None

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
        faults = [_fault(loaded, one) for one in message.mistakes] if isinstance(message, Disagreed) else []
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
                faults.append(_fault(loaded, Mistake(file.table, file.number, file.key, str(error), way_out)))
        if faults:
            for descriptor in descriptors:
                os.close(descriptor)
            return [], faults
        return descriptors, []

    def _open(self, file: FileWanted) -> int:
        if file.use is FileUse.LISTEN and self._sockets is not None:
            return self._sockets.open(file)
        return open_file(file)


def _fault(loaded: Loaded, mistake: Mistake) -> Diagnostic:
    """*mistake* as the operator is told of it."""
    place = loaded.place(mistake.table, mistake.number, mistake.key)
    name = f"{mistake.table}.{mistake.key}" if mistake.key else mistake.table
    return Diagnostic(Scope.FILE, place, mistake.text, mistake.way_out, name)


def open_file(file: FileWanted) -> int:
    """A descriptor of *file* for the courier. EdgeError if it cannot be had, or is too large to be what it should."""
    if file.use is FileUse.APPEND:
        return open_log(file.path)
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
