"""The other end of the control socket: one connection, one request after the other, for the tools.

Blocking, with a deadline for each step. h11 reads what comes, so a daemon that is none is an error and no traceback.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from errno import EACCES, ECONNREFUSED, ENOENT, ENOTDIR, ENOTSOCK, EPERM, EPROTOTYPE
from typing import Any
from urllib.parse import urlencode

import h11

from sentinetd.errors import SentinetdError

WITHIN = 15.0
"""Seconds that the daemon may be silent; the first request to it has to wait until it has loaded its web server."""
PIECE = 65_536

Parameters = Mapping[str, str | int | bool | None]


class ControlError(SentinetdError):
    """What was asked of the daemon was not done."""


class Unreachable(ControlError):
    """There is no daemon to ask."""


class Forbidden(ControlError):
    """The daemon, or its socket, does not let us."""


class Client:
    """Asks the daemon whose control socket is *path*. Connects when it is first needed."""

    def __init__(self, path: str, within: float = WITHIN) -> None:
        self.path = path
        self._within = within
        self._socket: socket.socket | None = None
        self._h11 = h11.Connection(h11.CLIENT)

    def get(self, path: str, query: Parameters | None = None) -> Any:
        """The answer to a question."""
        return self._exchange("GET", path, query, None)

    def post(self, path: str, body: Any) -> Any:
        """What became of an order."""
        return self._exchange("POST", path, None, body)

    def delete(self, path: str, query: Parameters) -> Any:
        """What became of taking something back."""
        return self._exchange("DELETE", path, query, None)

    def subscribe(self, path: str, query: Parameters) -> Subscription:
        """A stream of events; the connection is its own from here on."""
        self._request("GET", path, query, None)
        response = self._response()
        if response.status_code != 200:
            self._fail(response.status_code, self._body())
        assert self._socket is not None
        sock, self._socket = self._socket, None
        return Subscription(self.path, sock, self._h11)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _exchange(self, method: str, path: str, query: Parameters | None, body: Any) -> Any:
        self._request(method, path, query, body)
        response = self._response()
        data = self._body()
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
        else:
            self.close()
        if response.status_code != 200:
            self._fail(response.status_code, data)
        if dict(response.headers).get(b"content-type", b"").startswith(b"text/plain"):
            return data.decode("utf-8", "replace")
        return self._json(data)

    def _request(self, method: str, path: str, query: Parameters | None, body: Any) -> None:
        given = {name: _word(value) for name, value in (query or {}).items() if value is not None}
        target = f"{path}?{urlencode(given)}" if given else path
        data = b"" if body is None else json.dumps(body).encode()
        headers = [("Host", "localhost")]
        if body is not None:
            headers += [("Content-Type", "application/json"), ("Content-Length", str(len(data)))]
        sock = self._connect()
        request = self._h11.send(h11.Request(method=method, target=target, headers=headers))
        payload = self._h11.send(h11.Data(data=data)) if data else b""
        end = self._h11.send(h11.EndOfMessage())
        try:
            sock.sendall(b"".join((request or b"", payload or b"", end or b"")))
        except (BrokenPipeError, ConnectionResetError):
            pass  # it may have said why before it hung up
        except TimeoutError:
            raise self._silent() from None

    def _connect(self) -> socket.socket:
        if self._socket is None:
            self._h11 = h11.Connection(h11.CLIENT)
            self._socket = connect(self.path, self._within)
        return self._socket

    def _response(self) -> h11.Response:
        while True:
            event = self._next()
            if isinstance(event, h11.Response):
                return event
            if isinstance(event, h11.ConnectionClosed):
                raise Unreachable(f"the daemon at {self.path} hung up; see its log")

    def _body(self) -> bytes:
        data = bytearray()
        while not isinstance(event := self._next(), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                data += event.data
            else:
                raise Unreachable(f"the daemon at {self.path} hung up in the middle of its answer; see its log")
        return bytes(data)

    def _next(self) -> Any:
        """The next event of the answer."""
        assert self._socket is not None
        try:
            while (event := self._h11.next_event()) is h11.NEED_DATA:
                self._h11.receive_data(self._socket.recv(PIECE))
        except h11.RemoteProtocolError:
            raise Unreachable(f"{self.path} does not answer as sentinetd does; name its socket with --socket") from None
        except TimeoutError:
            raise self._silent() from None
        except OSError as error:
            raise Unreachable(f"{self.path}: {error.strerror}; see the daemon's log") from None
        return event

    def _silent(self) -> Unreachable:
        return Unreachable(f"the daemon at {self.path} said nothing for {self._within:.0f} seconds; see its log")

    def _json(self, data: bytes) -> Any:
        try:
            return json.loads(data)
        except ValueError:
            raise Unreachable(f"{self.path} does not answer as sentinetd does; name its socket with --socket") from None

    def _fail(self, status: int, data: bytes) -> None:
        value = self._json(data)
        text = (value.get("error") or value.get("why")) if isinstance(value, dict) else None
        kind = Forbidden if status in (401, 403) else ControlError
        raise kind(str(text or f"the daemon answered {status}"))


class Subscription:
    """Events as they come. `fileno` is readable when there may be some; *sock* becomes ours."""

    def __init__(self, path: str, sock: socket.socket, connection: h11.Connection) -> None:
        self._path = path
        self._socket = sock
        self._h11 = connection
        self._text = bytearray()
        self._socket.setblocking(False)

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self) -> Iterator[dict[str, Any]]:
        """What has come, without waiting. Unreachable at the end."""
        try:
            data = self._socket.recv(PIECE)
        except BlockingIOError:
            data = None
        except OSError as error:
            raise Unreachable(f"{self._path}: {error.strerror}") from None
        try:
            if data is not None:
                self._h11.receive_data(data)
            while (event := self._h11.next_event()) is not h11.NEED_DATA:
                if not isinstance(event, h11.Data):
                    raise Unreachable(f"the daemon at {self._path} hung up")
                self._text += event.data
        except h11.RemoteProtocolError:
            raise Unreachable(f"the daemon at {self._path} hung up") from None
        *whole, rest = bytes(self._text).split(b"\n\n")
        self._text = bytearray(rest)
        for frame in whole:
            for line in frame.split(b"\n"):
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])

    def close(self) -> None:
        self._socket.close()


def connect(path: str, within: float) -> socket.socket:
    """A connection to the control socket *path*."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(within)
        sock.connect(path)
    except OSError as error:
        sock.close()
        raise _unreachable(path, error) from None
    return sock


def _unreachable(path: str, error: OSError) -> ControlError:
    if error.errno in (ENOENT, ENOTDIR):
        return Unreachable(f"no sentinetd listens at {path}; start it, or name its socket with --socket")
    if error.errno == ECONNREFUSED:
        return Unreachable(f"{path} belongs to no running sentinetd any more; start it, or name another socket")
    if error.errno in (EACCES, EPERM):
        way_out = "be root, or a member of the group sentinetd"
        return Forbidden(f"uid {os.geteuid()} may not use {path}; {way_out}")
    if error.errno in (ENOTSOCK, EPROTOTYPE):
        return Unreachable(f"{path} is no control socket; name the daemon's with --socket")
    return Unreachable(f"{path}: {error.strerror or error}; name the daemon's socket with --socket")


def _word(value: str | int | bool) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
