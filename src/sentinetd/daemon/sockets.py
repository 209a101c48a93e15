"""The listening sockets of the control API and of the metrics: made by the guard, served by the courier.

A socket stays the same over reloads, so that no connection is lost. What cannot be bound is told, and tried again at
the next reload: without its tools the daemon protects as well.
"""

from __future__ import annotations

import grp
import os
import socket
from collections.abc import Callable

from sentinetd.errors import EdgeError
from sentinetd.model.noun import replace
from sentinetd.model.settings import ControlSettings, FileUse, FileWanted, Settings

GROUP = "sentinetd"
"""The group that may use the control socket."""
BACKLOG = 64


class Sockets:
    """*path* is where the control socket goes; *complain* is told what cannot be bound."""

    def __init__(self, path: str, complain: Callable[[str], None]) -> None:
        self._path = path
        self._complain = complain
        self._bound: dict[str, socket.socket] = {}

    def wanted(self, settings: Settings) -> Settings:
        """*settings* with the courier's sockets among its files; those no longer wanted are closed."""
        control, metrics = settings.control, settings.metrics
        names = {
            "socket": self._path if control.enabled else "",
            "loopback": control.listen,
            "metrics": metrics.listen,
        }
        for name in [name for name in self._bound if name not in names.values()]:
            self._close(name)
        files = list(settings.files)
        numbers: dict[str, int] = {}
        for use, name in names.items():
            if name and self._have(name):
                numbers[use] = len(files)
                table = "metrics" if use == "metrics" else "control"
                files.append(FileWanted(name, FileUse.LISTEN, table, 0, "listen"))
        told = ControlSettings(
            **numbers, token=control.token, owner=os.geteuid(), readers=group(), admins=control.admins
        )
        return replace(settings, files=tuple(files), courier=replace(settings.courier, control=told))

    def open(self, file: FileWanted) -> int:
        """A descriptor of the socket *file*, for the courier."""
        return os.dup(self._bound[file.path].fileno())

    def close(self) -> None:
        """Close all of them; nobody finds the control socket any more."""
        for name in list(self._bound):
            self._close(name)

    def _have(self, name: str) -> bool:
        """Whether *name* is bound, maybe now."""
        if name not in self._bound:
            try:
                self._bound[name] = _at_path(name) if name.startswith("/") else _on_loopback(name)
            except EdgeError as error:
                self._complain(str(error))
                return False
        return True

    def _close(self, name: str) -> None:
        self._bound.pop(name).close()
        if name.startswith("/"):
            try:
                os.unlink(name)
            except FileNotFoundError:
                return


def group() -> int | None:
    """The number of `GROUP`; None where there is none."""
    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return None


def _at_path(path: str) -> socket.socket:
    """A unix socket at *path*, for its owner and, where we can give it away, for `GROUP`. EdgeError if it cannot be."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _answers(path):
            raise EdgeError(f"another sentinetd has the control socket {path}; stop it")
        if os.path.lexists(path):
            os.unlink(path)
        mask = os.umask(0o177)  # nobody else, until it belongs to whom it should
        try:
            sock.bind(path)
        finally:
            os.umask(mask)
        readers = group()
        if os.geteuid() == 0 and readers is not None:
            os.chown(path, 0, readers)
            os.chmod(path, 0o660)
        sock.listen(BACKLOG)
    except (OSError, EdgeError) as error:
        sock.close()
        if isinstance(error, EdgeError):
            raise
        raise EdgeError(f"the control socket {path} cannot be made: {error.strerror or error}") from error
    return sock


def _answers(path: str) -> bool:
    """Whether somebody listens at *path*."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except BlockingIOError:
            return True  # its queue is full
        except OSError:
            return False
    return True


def _on_loopback(name: str) -> socket.socket:
    """A TCP socket at *name*, ADDRESS:PORT. EdgeError if it cannot be had."""
    address, _, port = name.rpartition(":")
    family = socket.AF_INET6 if address.startswith("[") else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address.strip("[]"), int(port)))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise EdgeError(f"{name} cannot be listened at: {error.strerror}; give another port") from error
    return sock
