"""The first moments of the daemon: what is done before anything heavy is loaded, and before a configuration is read.

The process is made fit to serve, has its log, goes to the background, and starts its courier, which gets ready beside
all that follows.
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import sys

from sentinetd.daemon.log_file import open_log
from sentinetd.daemon.newborn import Newborn, born
from sentinetd.daemon.options import FACILITIES, Options
from sentinetd.errors import EdgeError

COURIER = "sentinetd.daemon.courier"
UNANSWERED = tuple(
    number
    for number in (
        signal.SIGPIPE, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGALRM, signal.SIGVTALRM,
        signal.SIGPROF, signal.SIGWINCH, signal.SIGIO, signal.SIGPWR, signal.SIGURG, signal.SIGXCPU, signal.SIGXFSZ,
        signal.SIGSTKFLT, signal.SIGILL, signal.SIGTRAP, signal.SIGFPE, signal.SIGSYS,
        *range(signal.SIGRTMIN, signal.SIGRTMAX + 1),
    )
)  # fmt: skip
"""Signals that mean nothing to us and must not end us. A fault of our own ends us all the same (signal(7))."""


class Dawn:
    """What there is afterwards.

    *files*: the limit of open files for servers. *log*: the daemon's log where that is a file, else it is the system's
    with *facility*; *remarks*: what is to be told of that. *stderr*: where a person at a terminal reads until we work.
    *told*: where our parent waits to hear how the start went, -1 if none does. *courier*: None if there is none yet.
    """

    def __init__(self, options: Options) -> None:
        """EdgeError if the log cannot be opened: there is nowhere else to say so."""
        self.files = _prepare_process()
        self.log: int | None = None
        self.facility = "daemon"
        self.remarks: list[str] = []
        self.stderr = 2
        self.told = -1
        self.courier: Newborn | None = None
        self._open_log(options)
        null(0)  # standard output stays, unless we go to the background: logs may be there, by name

    def _open_log(self, options: Options) -> None:
        if options.debug:
            self.log = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, 10)
        elif options.log_file:
            self.log = open_log(options.log_file)
        elif options.syslog:
            if options.syslog.lower() in FACILITIES:
                self.facility = options.syslog.lower()
            else:
                self.remarks.append(f"Bad syslog facility: {options.syslog}; there are {', '.join(FACILITIES)}")

    def detach(self) -> int | None:
        """Go to the background; None there. In the process that was started: when the daemon works or has failed, the
        exit status that says which, so that whoever started it knows."""
        ours, theirs = os.pipe2(os.O_CLOEXEC)
        if os.fork():
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            os.close(theirs)
            return 0 if os.read(ours, 1) else 1
        os.close(ours)
        self.told = theirs
        os.setsid()
        # Nothing that we start may hold what our caller waits for the end of; we ourselves need it until we work.
        self.stderr = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, 10)
        null(1, 2)
        sys.stderr = open(self.stderr, "w", closefd=False)  # noqa: SIM115  # for a fault of ours
        return None

    def start_courier(self) -> None:
        """Have a courier get ready. Where none can be had now, it is tried again when it is needed, and told."""
        for number in UNANSWERED:
            signal.signal(number, signal.SIG_IGN)
        try:
            self.courier = born(COURIER)
        except EdgeError:
            self.courier = None

    def tell_parent(self, works: bool) -> None:
        """Say how the start went, to whoever waits for it."""
        if self.told < 0:
            return
        if works:
            os.write(self.told, b"1")
        sys.stderr = sys.__stderr__
        os.close(self.stderr)
        self.stderr = 2
        os.close(self.told)
        self.told = -1


def _prepare_process() -> int:
    """Make the process one that can serve; gives the limit of open files for servers (the hard one, setrlimit(2))."""
    os.closerange(3, 1 << 20)
    os.umask(os.umask(0) | 0o022)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def null(*descriptors: int) -> None:
    """Put /dev/null in place of *descriptors*."""
    nothing = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for descriptor in descriptors:
        os.dup2(nothing, descriptor)
    if nothing not in descriptors:
        os.close(nothing)
