"""A web server (RFC 9110, RFC 9112) as nginx is, just installed. It answers one request and hangs up."""

from __future__ import annotations

import re
from time import gmtime

from sentinetd.serve.internal.decoys.dialogue import Answer, Scene

LONGEST_HEAD = 8192
"""Bytes of a request without its body (nginx: large_client_header_buffers)."""
MOST_EMPTY = 1024
"""Bytes of empty lines before a request."""
LONGEST_BODY = 32_768
"""Bytes of a body that are waited for before the answer."""

SERVER = b"nginx/1.22.1"
DAYS = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
REQUEST = re.compile(rb"([A-Z]{1,32}) (\S{1,4096}) HTTP/1\.([01])")
LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,9})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
END = re.compile(rb"\r?\n\r?\n")

WELCOME = b"""<!DOCTYPE html>
<html>
<head>
<title>Welcome to nginx!</title>
<style>
html { color-scheme: light dark; }
body { width: 35em; margin: 0 auto;
font-family: Tahoma, Verdana, Arial, sans-serif; }
</style>
</head>
<body>
<h1>Welcome to nginx!</h1>
<p>If you see this page, the nginx web server is successfully installed and
working. Further configuration is required.</p>
</body>
</html>
"""
STATUS = {
    200: b"OK",
    400: b"Bad Request",
    404: b"Not Found",
    405: b"Not Allowed",
    414: b"Request-URI Too Large",
}


def page(status: int) -> bytes:
    """What nginx shows with *status*."""
    if status == 200:
        return WELCOME
    title = b"%d %b" % (status, STATUS[status])
    return (
        b"<html>\r\n<head><title>%b</title></head>\r\n<body>\r\n<center><h1>%b</h1></center>\r\n"
        b"<hr><center>%b</center>\r\n</body>\r\n</html>\r\n" % (title, title, SERVER)
    )


def date(now: float) -> bytes:
    """Unix time *now* as RFC 9110 section 5.6.7 wants it."""
    at = gmtime(int(now))
    day = b"%b, %02d %b %04d" % (DAYS[at.tm_wday], at.tm_mday, MONTHS[at.tm_mon - 1], at.tm_year)
    return b"%b %02d:%02d:%02d GMT" % (day, at.tm_hour, at.tm_min, at.tm_sec)


class Http:
    greeting = b""

    def __init__(self, scene: Scene) -> None:
        self._now = scene.now
        self._rest = b""
        self._empty = 0  # bytes of empty lines before the request
        self._body = 0  # bytes of it that are still to come
        self._answer: Answer | None = None  # once the head has come

    def hear(self, data: bytes) -> Answer:
        if self._answer is None:
            came = self._rest + data
            self._rest = came.lstrip(b"\r\n")  # nginx overlooks empty lines before a request
            self._empty += len(came) - len(self._rest)
            if self._empty > MOST_EMPTY:
                return self._say(400, True)
            head = self._rest[: LONGEST_HEAD + 4]
            line, newline, _ = head.partition(b"\n")
            if newline and self._malformed(line):
                return self._say(400, True)
            end = END.search(head)
            if end is None:
                return self._say(414, True) if len(self._rest) > LONGEST_HEAD else Answer()
            data, self._rest = self._rest[end.end() :], b""
            self._answer = self._reply(head[: end.start()] + b"\r\n")
        self._body -= len(data)
        return Answer() if self._body > 0 else self._answer

    @staticmethod
    def _malformed(line: bytes) -> bool:
        return REQUEST.fullmatch(line.removesuffix(b"\r")) is None

    def _reply(self, head: bytes) -> Answer:
        """The answer to a whole *head*, once its body has come."""
        request = REQUEST.fullmatch(head.partition(b"\n")[0].removesuffix(b"\r"))
        if request is None:
            return self._say(400, True)
        length = LENGTH.search(head)
        self._body = min(int(length[1]), LONGEST_BODY) if length is not None else 0
        method, path = request[1], request[2].partition(b"?")[0]
        if method not in (b"GET", b"HEAD"):
            return self._say(405, True)
        return self._say(200 if path in (b"/", b"/index.html") else 404, method == b"GET")

    def _say(self, status: int, shown: bool) -> Answer:
        body = page(status)
        kind = (
            b"HTTP/1.1 %d %b\r\nServer: %b\r\nDate: %b\r\nContent-Type: text/html\r\nContent-Length: %d\r\n"
            b"Connection: close\r\n\r\n" % (status, STATUS[status], SERVER, date(self._now), len(body))
        )
        return Answer(kind + (body if shown else b""), over=True)
