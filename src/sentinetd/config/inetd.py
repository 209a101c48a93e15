"""inetd.conf(5), read for ``-inetd_compat``: each line becomes an entry like those of xinetd.conf, mistakes and all.

service-name  socket-type  protocol  wait-flag  user[.group]  server  [argv0 arg1 ...]
"""

from __future__ import annotations

from sentinetd.config.files import Gathered
from sentinetd.config.host import Host
from sentinetd.config.syntax import Entry, Line, rows
from sentinetd.model.diagnostic import Diagnostic, Level, Scope
from sentinetd.model.values import Place

_FORM = "write: name socket-type protocol wait|nowait user server argv0 arguments"


def gather_inetd(path: str, host: Host, gathered: Gathered) -> None:
    """Append the entries of *path* to *gathered*. A file that is not there holds none."""
    try:
        if host.found(path) is None:
            return
        data = host.read(path)
    except OSError as error:
        gathered.diagnostics.append(
            Diagnostic(
                Scope.FILE, Place(path, 0), f"open( {path} ) failed: {error.strerror or error}", "mend its permissions"
            )
        )
        return
    for row in rows(data, path):
        if row.wrong:
            text = f"inetd.conf - {row.wrong}"
            gathered.diagnostics.append(Diagnostic(Scope.LINE, row.place, text, "mend the line; it is left out"))
        elif row.words:
            gathered.entries.append(_entry(row.words, row.place, host))


def _entry(words: tuple[str, ...], place: Place, host: Host) -> Entry:
    told: list[Diagnostic] = []
    lines: list[Line] = []
    name = words[0]

    def wrong(text: str, way_out: str) -> None:
        told.append(Diagnostic(Scope.ENTRY, place, f"inetd.conf - {text}", way_out, service=name))

    def say(attribute: str, *values: str) -> None:
        lines.append(Line(place, attribute, "=", values))

    if len(words) < 6:
        missing = ("name", "socket type", "protocol", "wait", "user", "server")[len(words)]
        wrong(f"No value specified for {missing} in the line of {name}", _FORM)
        return Entry(place, name, (), tuple(told))
    _, kind, protocol, wait, user, server, *argv = words
    if protocol.startswith("rpc/"):
        name, _, versions = name.partition("/")
        protocol = protocol[4:]
        say("rpc_version", versions or "1")
        rpc: tuple[str, ...] = ("RPC",)
    else:
        rpc = ()
        if ":" in name or name.isdigit():
            wrong(
                f"Invalid service name: {name}", "write a name of /etc/services, or an xinetd entry with bind or port"
            )
    say("socket_type", kind.lower())
    family = {"4": ("IPv4",), "6": ("IPv6",)}.get(protocol[3:], ()) if protocol[:3] in ("tcp", "udp") else ()
    say("protocol", protocol[:3] if family else protocol)
    flag, _, limit = wait.partition("/" if "/" in wait else ".")  # FreeBSD's inetd(8) has /, that of NetBSD the dot
    if flag in ("wait", "nowait"):
        say("wait", "yes" if flag == "wait" else "no")
        if limit:
            text = f"inetd.conf - the limit in {wait} is ignored"
            told.append(
                Diagnostic(Scope.LINE, place, text, "write cps in an xinetd entry", service=name, level=Level.WARNING)
            )
    else:
        wrong(f"Bad value for wait: {wait}", "write wait or nowait")
    person, _, group = (user, "", "") if host.user(user) else user.partition(":" if ":" in user else ".")
    say("user", person)
    if group:
        say("group", group)
    say("groups", "yes")
    if server == "internal":
        say("type", "INTERNAL", *rpc)
        say("id", f"{name}-{kind.lower()}")
        if family:
            say("flags", *family)
    else:
        if rpc:
            say("type", *rpc)
        say("server", server)
        say("flags", "REUSE", "NOLIBWRAP", *family, *(("NAMEINARGS",) if argv else ()))
        if argv:
            say("server_args", *argv)
    return Entry(place, name, tuple(lines), tuple(told))
