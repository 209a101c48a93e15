"""The command line: xinetd's options as they are (xinetd(8)), a long form for each, and our own.

xinetd takes whole words with one dash and the value in the next word. So do we; the long forms take ``--name value``
and ``--name=value``.
"""

from __future__ import annotations

from collections.abc import Sequence

from sentinetd.errors import UsageError
from sentinetd.model.noun import TYPE_CHECKING, dataclass, replace

if TYPE_CHECKING:
    from typing import Any

FACILITIES = (
    "daemon", "auth", "authpriv", "user", "mail", "lpr", "news", "uucp", "ftp",
    "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
)  # fmt: skip
"""What -syslog takes, in any case."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for."""

    config: str = "/etc/xinetd.conf"
    debug: bool = False
    log_file: str = ""
    syslog: str = ""
    pid_file: str = ""
    foreground: bool = False
    stay_alive: bool = False
    limit: int | None = None
    log_procs: int = 15
    check_interval: int = 0
    inetd_compat: bool = False
    check: bool = False
    settings: str | None = None
    state: str = ""
    ident: str = ""
    spawner: str = ""
    version: str = ""
    help: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Option:
    """A row of the table: xinetd's word, the long form, the field it sets, what its value is called ("" for none)."""

    short: str
    long: str
    field: str
    value: str
    doc: str


TABLE = (
    _Option("-f", "--config", "config", "FILE", "read FILE instead of /etc/xinetd.conf"),
    _Option("-check", "--check", "check", "", "print every mistake of the configuration and exit; 1 if there are any"),
    _Option("-dontfork", "--foreground", "foreground", "", "stay in the foreground; implies --stay-alive"),
    _Option("-d", "--debug", "debug", "", "stay in the foreground and print all messages on standard error"),
    _Option("-filelog", "--log-file", "log_file", "FILE", "append the daemon's messages to FILE"),
    _Option("-syslog", "--syslog", "syslog", "FACILITY", "send the daemon's messages to syslog as FACILITY (daemon)"),
    _Option("", "--ident", "ident", "NAME", "the name in log lines; else the last part of the command's own name"),
    _Option("-pidfile", "--pid-file", "pid_file", "FILE", "write the process number to FILE"),
    _Option("-stayalive", "--stay-alive", "stay_alive", "", "keep running when no service is configured"),
    _Option("-limit", "--limit", "limit", "N", "at most N server processes at once; 0: no limit"),
    _Option("-logprocs", "--log-procs", "log_procs", "N", "at most N ident look-ups at once for refused clients (15)"),
    _Option("-cc", "--check-interval", "check_interval", "SECONDS", "check our own consistency every SECONDS"),
    _Option("-inetd_compat", "--inetd-compat", "inetd_compat", "", "read /etc/inetd.conf too"),
    _Option("", "--settings", "settings", "FILE", "our own settings; else sentinetd.toml beside the configuration"),
    _Option("", "--state", "state", "DIR", "keep bans in DIR; else below /var/lib/sentinetd"),
    _Option("", "--spawner", "spawner", "c|python", "start servers by the C program, or without it (default: c)"),
    _Option("-version", "--version", "version", "", "print the version and how servers are started, and exit"),
    _Option("-help", "--help", "help", "", "print this and exit"),
)
"""Every option that has an effect."""

WORD = 1 << 64
OLD = {"-reuse": 0, "-shutdownprocs": 1}
"""Options of xinetd that do nothing, and how many values they take."""


def help_text(program: str) -> str:
    """What --help prints."""
    lines = [
        f"Usage: {program} [OPTION]...",
        "The extended Internet services daemon, with sensors: runs an xinetd.conf.",
        "",
    ]
    for option in TABLE:
        words = ", ".join(word for word in (option.short, option.long) if word)
        lines.append(f"  {words + (' ' + option.value if option.value else ''):<34}{option.doc}")
    lines += [
        "",
        "Signals: HUP reloads, TERM ends the daemon and its servers, QUIT the daemon alone,",
        "USR1 writes the state to a file, ABRT checks consistency.",
        f"Start with: {program} --check --config FILE",
    ]
    return "\n".join(lines)


def parse(words: Sequence[str]) -> Options:
    """What *words* (without the program's name) ask for. UsageError where they cannot be understood."""
    options = Options()
    notes: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, joined = word.partition("=") if word.startswith("--") else (word, "", "")
        option = next((one for one in TABLE if name in (one.short, one.long)), None)
        if option is not None:
            value: Any = True
            if option.value:
                value = joined if equals else _next(rest, word)
            elif equals:
                raise UsageError(f"{name} takes no value")
            options = replace(options, **{option.field: _read(option, word, value)})
            if options.version or options.help:
                return options  # what follows is not looked at, as in xinetd
        elif name in OLD:
            for _ in range(OLD[name]):
                _next(rest, word)
            notes.append(f"option {name} has no effect")
        elif len(word) > 1 and word.startswith("-"):
            # Start scripts of old pass switches that xinetd never knew, and it passes over them.
            notes.append(f"unknown option {word} is ignored; --help lists what there is")
        else:
            raise UsageError(f"{word!r} is not an option")
    if options.syslog and options.log_file:
        raise UsageError("-syslog and -filelog exclude each other")
    if options.debug or options.foreground:
        options = replace(options, stay_alive=options.stay_alive or options.foreground)
    return replace(options, notes=tuple(notes))


def _next(rest: list[str], word: str) -> str:
    if not rest:
        raise UsageError(f"{word} needs a value")
    return rest.pop(0)


def _read(option: _Option, word: str, value: Any) -> Any:
    """The value of *option*, of the type of its field."""
    if option.field == "limit":
        number = _number(word, value)
        return number if number > 0 else None
    if option.field == "log_procs":
        return _number(word, value) % WORD
    if option.field == "check_interval":
        number = _number(word, value)
        if number <= 0:
            raise UsageError(f"{word} needs a number of seconds greater than 0")
        return number
    if option.field == "spawner" and value not in ("c", "python"):
        raise UsageError(f"{word}: {value!r} is neither c nor python")
    return word if option.field == "version" else value


def _number(word: str, value: str) -> int:
    """A whole number of 64 bits as strtoull(3) takes it, by which xinetd reads: white space and a sign may stand before
    it, and one below 0 is a huge one, so no limit."""
    digits = value.lstrip()
    if not (digits[1:] if digits[:1] in ("+", "-") else digits).isdigit() or not digits.isascii():
        raise UsageError(f"{word} needs a number, not {value!r}")
    if abs(int(digits)) >= WORD:
        raise UsageError(f"{word} needs a smaller number than {digits}")
    return int(digits)

