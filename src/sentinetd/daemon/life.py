"""The life of the daemon: begin, answer signals, end. Each step in the order in which it can still be taken back."""

from __future__ import annotations

import os
import pwd
import signal
import sys
import time
from collections.abc import Callable

from sentinetd import __version__
from sentinetd.config.host import Host
from sentinetd.config.load import Loaded
from sentinetd.config.recall import Recall
from sentinetd.daemon import paths
from sentinetd.daemon.check import read
from sentinetd.daemon.dawn import Dawn
from sentinetd.daemon.direct import write_directly
from sentinetd.daemon.dump import consistency, dump
from sentinetd.daemon.guard import Guard
from sentinetd.daemon.haste import calm_down
from sentinetd.daemon.log_file import open_log
from sentinetd.daemon.messages import DAEMON_LOG, Farewell, FileSink, Greeting, SyslogSink
from sentinetd.daemon.notify import notify
from sentinetd.daemon.options import Options
from sentinetd.daemon.privileges import closed_above, ids, obstacle
from sentinetd.daemon.reload import Reloader
from sentinetd.daemon.sockets import group
from sentinetd.errors import EdgeError
from sentinetd.model.events import DaemonStarted, DaemonStopping, DaemonWorking, Event, Level, Notice
from sentinetd.model.settings import Settings
from sentinetd.net.logins import operator_source
from sentinetd.policy.inputs import Leaving, LoggedIn
from sentinetd.policy.servers import KILL_AFTER
from sentinetd.spawn.spawner import Backend

BACKENDS = {"c": Backend.C, "python": Backend.PYTHON, "": None}
COURIER_USER = "sentinetd"
PORTER_USER = "sentinetd-porter"
NOBODY, NOBODY_ID = "nobody", "65534"
"""Who owns nothing: by name, and by number where passwd(5) lacks it."""
DEAD_WITHIN = 3.0
"""Seconds after KILL in which servers have ended, unless something keeps them."""

class Life:
    """One run of the daemon, from *dawn* on. *options* name files by absolute paths; *program* is the name we were
    called by."""

    def __init__(self, dawn: Dawn, options: Options, host: Host, program: str) -> None:
        self._dawn = dawn
        self._options = options
        self._config = options.config
        self._host = host
        self._recall = Recall()
        self._environment = host.environment
        self._ident = options.ident or program
        self._log_path = options.log_file
        self._pid_path = options.pid_file
        self._notes: list[str] = []  # what we have to do without
        self._make_state: Callable[[], None] = lambda: None  # the state directory, as it is to be
        self._status = 0
        self._works = False
        self._reload_wanted = self._reloading = False
        self._asking: list[Callable[[str], None]] = []  # who is to be told of the next reload
        self._answering: list[Callable[[str], None]] = []  # who is to be told of the one that goes on
        self._ending = False
        self._waits_for_servers = False

    def run(self) -> int:
        """Live; the exit status."""
        loaded = self._read()
        pid_file = paths.PidFile(self._pid_path) if self._pid_path else None
        try:
            state = self._state = self._claim_state()
            guard = self._guard = self._make_guard(loaded.settings, state)
        except EdgeError as error:
            return self._give_up([], str(error))
        self._tell_log(guard)
        for text in (*self._dawn.remarks, *self._options.notes):
            guard.notice(Level.WARNING, text)
        self._reloader = Reloader(guard, self._read)
        guard.reload = self._reload_for
        self._reloader.diagnose(loaded.diagnostics)
        if not loaded.startable:
            mistakes = "".join(f"\n  {one}" for one in loaded.diagnostics)
            return self._give_up(guard.link.remaining(), f"couldn't get configuration{mistakes}")
        self._answer_signals(guard)
        os.chdir("/")
        guard.hearing.equip(loaded.settings.courier)
        try:
            guard.launcher.start()
            newborn, self._dawn.courier = self._dawn.courier, None
            trouble = guard.hearing.restore(newborn, lambda: self._ending)
            if trouble and loaded.settings.store.required:
                raise EdgeError(f"the store is required and cannot be used: {trouble}")
            if trouble:
                guard.notice(Level.CRITICAL, f"bans of before are not in force: {trouble}")
            faults = self._reloader.instruct(loaded, lambda: self._ending)
        except EdgeError as error:
            return self._give_up(guard.link.remaining(), str(error))
        if faults:
            self._reloader.diagnose(faults)
            mistakes = "".join(f"\n  {one}" for one in faults)
            return self._give_up(guard.link.remaining(), f"couldn't get configuration{mistakes}")
        if not self._ending:
            self._put_in_force(guard, loaded, pid_file)
        calm_down()
        guard.settle()
        while not self._ending or self._servers_left():
            guard.turn()
        return self._leave(guard, pid_file)

    def _put_in_force(self, guard: Guard, loaded: Loaded, pid_file: paths.PidFile | None) -> None:
        """The bans of before hold: open the listeners, and say that we work."""
        guard.look_around()
        source = operator_source(self._environment, os.getpid())
        if source is not None:
            guard.handle(LoggedIn(source))
        guard.offers.remember()
        guard.catching.remember()
        self._reloader.put_in_force(loaded, first=True)
        if not guard.engine.services and not self._options.stay_alive:
            self._end("no services", 1)
            return
        self._ready(guard, pid_file)
        self._works = True
        if self._reload_wanted:
            self._reload()

    # Beginning.

    def _read(self) -> Loaded:
        """What the files say now."""
        self._host = self._host.again()
        return read(self._options, self._host, self._recall)

    def _claim_state(self) -> str:
        """The state directory, which no other daemon uses. One that runs the same configuration in another network
        namespace, and so is another host to the network, leaves us one of our own."""
        uid = os.geteuid()
        state = paths.state_directory(self._options.state, self._config, self._environment, uid)
        run = paths.run_directory(self._config, self._environment, uid)
        try:
            self._claim(run, state)
        except paths.Held as held:
            if self._options.state or not held.elsewhere:
                raise
            state, run = f"{state}-{paths.network()}", f"{run}-{paths.network()}"
            self._notes.append(f"{held}: it is in another network namespace, so this one takes {state} and {run}")
            self._claim(run, state)
        return state

    def _claim(self, run: str, state: str) -> None:
        """Have the directory *run*, and the lock of *state*, where they can be had at all."""
        self._run = run
        uid = os.geteuid()
        readers = group() if uid == 0 else None
        try:
            if readers is None:
                paths.make_directory(run, uid, os.getegid())
            else:  # those who may use the control socket come through
                paths.make_directory(run, uid, readers, paths.OF_GROUP)
            self._lock = paths.Lock(paths.lock_directory(self._environment, uid), state)
        except paths.Unusable as error:
            self._notes.append(
                f"there is no place for our control socket, and nothing keeps a second daemon from {state}: {error}"
            )

    def _make_guard(self, settings: Settings, state: str) -> Guard:
        courier, porter = self._companion_user(COURIER_USER), self._companion_user(PORTER_USER)
        arguments = ["--state", state, *(["--required"] if settings.store.required else [])]
        try:
            uid, gid = ids(courier) if courier else (os.geteuid(), os.getegid())
            self._make_state = lambda: paths.make_directory(state, uid, gid)
            self._make_state()
            if courier and (closed := closed_above(state)):
                self._notes.append(
                    f"user {courier} cannot reach the state directory {state}, so bans are not kept: let everybody "
                    f"pass {closed} (chmod o+x), or give another --state DIR"
                )
        except paths.Foreign:
            raise
        except EdgeError as error:
            self._notes.append(f"the state directory cannot be made: {error}")
        guard = Guard(
            settings,
            greeting=Greeting(self._ident, os.getpid()),
            limit=self._options.limit,
            log_procs=self._options.log_procs,
            files=self._dawn.files,
            backend=BACKENDS[self._options.spawner],
            courier_arguments=arguments + (["--user", courier] if courier else []),
            porter_arguments=["--user", porter] if porter else [],
            run=self._run,
            config=self._config,
        )
        for text in self._notes:
            guard.notice(Level.ERROR, text)
        if {NOBODY, NOBODY_ID} & {courier, porter}:
            guard.notice(
                Level.WARNING,
                f"there is no user {COURIER_USER} or no user {PORTER_USER}: what they should own runs as {NOBODY}; "
                f"make them with useradd --system",
            )
        return guard

    def _companion_user(self, wanted: str) -> str:
        """Whom a companion runs as; empty: as we do, since we cannot change it."""
        if os.geteuid() != 0:
            return ""
        user = next((name for name in (wanted, NOBODY) if _known(name)), NOBODY_ID)
        why_not = obstacle(user)
        if why_not:
            self._notes.append(f"nothing of ours can run as user {user}, {wanted} keeps what rights we have: {why_not}")
            return ""
        return user

    def _tell_log(self, guard: Guard) -> None:
        """Let the courier have the daemon's own log."""
        if self._dawn.log is None:
            guard.link.open_sink(SyslogSink(DAEMON_LOG, self._dawn.facility, ""))
        else:
            guard.link.open_sink(FileSink(DAEMON_LOG, "daemon", 0, 0), os.dup(self._dawn.log))

    def _ready(self, guard: Guard, pid_file: paths.PidFile | None) -> None:
        """Tell everyone who waits that we work."""
        if pid_file is not None:
            try:
                pid_file.write()
            except EdgeError as error:
                guard.notice(Level.ERROR, str(error))
        guard.tell(DaemonStarted(time.time(), __version__, guard.launcher.name))
        guard.tell(DaemonWorking(time.time(), guard.doors.open_count))
        notify(self._environment, "READY=1")
        self._dawn.tell_parent(True)
        if self._options.check_interval:
            self._check_again(guard)

    def _give_up(self, events: list[Event], why: str) -> int:
        """The start failed before anybody else could write it down. The log has had the lines after the first of *why*
        among *events*; a person at a terminal sees them all."""
        if self._dawn.courier is not None:
            self._dawn.courier.end()
        last = Notice(time.time(), Level.CRITICAL, f"{why.partition(chr(10))[0]}. Exiting...")
        write_directly([*events, last], self._ident, self._dawn.log, self._dawn.facility)
        if not self._options.debug:
            os.write(self._dawn.stderr, os.fsencode(f"{self._ident}: {why}\n"))
        self._dawn.tell_parent(False)
        return 1

    # Signals.

    def _answer_signals(self, guard: Guard) -> None:
        guard.loop.on_signals(
            {
                signal.SIGCHLD: guard.reaper.reap,
                signal.SIGHUP: self._reload,
                signal.SIGUSR2: self._reload,
                signal.SIGTERM: lambda: self._end("SIGTERM", 0, servers=True),
                signal.SIGINT: lambda: self._end("SIGINT", 0, servers=True),
                signal.SIGQUIT: lambda: self._end("SIGQUIT", 0),
                signal.SIGUSR1: self._dump,
                signal.SIGABRT: lambda: self._check(guard, quiet=False),
            },
        )
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def _reload(self) -> None:
        if self._ending or not self._works or self._reloading:
            self._reload_wanted = True  # what is being read now may be older than what the signal is about
            return
        self._reload_wanted = False
        self._reloading = True
        notify(self._environment, f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        self._reopen_log()
        self._remake_state()
        self._answering, self._asking = self._asking, []
        self._reloader.reload(self._reloaded)

    def _reload_for(self, done: Callable[[str], None]) -> None:
        """As `_reload`; *done* is told why it could not be done, or ""."""
        if self._ending:
            done("the daemon is ending")
            return
        self._asking.append(done)
        self._reload()

    def _reloaded(self, why_not: str) -> None:
        self._reloading = False
        for done in self._answering:
            done(why_not)
        self._answering = []
        if self._ending:
            return
        notify(self._environment, "READY=1")
        if not self._guard.engine.services and not self._options.stay_alive:
            self._end("No available services", 1)
        elif self._reload_wanted:
            self._reload()

    def _remake_state(self) -> None:
        """Somebody may have removed the state directory; the courier, which has what was in it, cannot make it."""
        try:
            if not os.path.isdir(self._state):
                self._make_state()
        except EdgeError as error:
            self._guard.notice(Level.ERROR, f"the state directory cannot be made: {error}")

    def _reopen_log(self) -> None:
        """The daemon's own log may have been renamed."""
        if not self._log_path or self._dawn.log is None:
            return
        try:
            fresh = open_log(self._log_path)
        except EdgeError as error:
            self._guard.notice(Level.ERROR, f"the log cannot be opened again: {error}; the old one is written on")
            return
        os.dup2(fresh, self._dawn.log, inheritable=False)
        self._guard.link.open_sink(FileSink(DAEMON_LOG, "daemon", 0, 0), fresh)

    def _dump(self) -> None:
        self._guard.launcher.hear()
        path = os.path.join(self._run, "state.dump")
        try:
            with open(f"{path}.new", "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(dump(self._guard, self._config))
            os.rename(f"{path}.new", path)
        except OSError as error:
            self._guard.notice(Level.ERROR, f"failed to open {path}: {error.strerror} (errno = {error.errno})")
            return
        self._guard.notice(Level.INFO, f"generated state dump in file {path}")

    def _check(self, guard: Guard, quiet: bool) -> None:
        guard.launcher.hear()
        faults = consistency(guard)
        for fault in faults:
            guard.notice(Level.ERROR, fault)
        if faults:
            guard.notice(Level.WARNING, f"Consistency check detected {len(faults)} errors")
        elif not quiet:
            guard.notice(Level.INFO, "Consistency check passed")

    def _check_again(self, guard: Guard) -> None:
        """The periodic check is silent when it passes (xinetd(8), -cc)."""

        def check() -> None:
            self._check(guard, quiet=True)
            self._check_again(guard)

        guard.loop.after(self._options.check_interval, check)

    # Ending.

    def _end(self, why: str, status: int, servers: bool = False) -> None:
        """Stop listening; with *servers*, end those that run too, and leave when they have ended. The second time:
        leave at once."""
        if self._ending:
            self._waits_for_servers = False
            return
        self._ending = True
        self._status = status
        self._waits_for_servers = servers
        guard = self._guard
        notify(self._environment, "STOPPING=1")
        guard.instructions.abandon()
        guard.tell(DaemonStopping(time.time(), why))
        guard.doors.close_all()
        guard.handle(Leaving(servers))
        if servers:
            guard.loop.after(KILL_AFTER + DEAD_WITHIN, self._leave_servers)

    def _leave_servers(self) -> None:
        """Go without the servers that not even KILL has ended: they hang in the kernel, or we may not send them any."""
        if self._servers_left():
            self._waits_for_servers = False
            left = ", ".join(f"{one.running.service.id} {one.pid}" for one in self._guard.engine.servers())
            self._guard.notice(Level.ERROR, f"servers are left behind that do not end: {left or 'without a process'}")

    def _servers_left(self) -> bool:
        engine = self._guard.engine
        return self._waits_for_servers and bool(engine.servers() or engine.ordered())

    def _leave(self, guard: Guard, pid_file: paths.PidFile | None) -> int:
        write_directly(guard.farewell(Farewell()), self._ident, self._dawn.log, self._dawn.facility)
        if pid_file is not None:
            try:
                pid_file.remove()
            except EdgeError as error:
                print(f"{self._ident}: {error}", file=sys.stderr)
        self._dawn.tell_parent(False)
        return self._status


def _known(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
