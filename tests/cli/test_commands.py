"""What each command that asks the daemon prints, at 80 and 200 columns and into a pipe, and how it ends.

To accept a change on purpose: run with SENTINETD_GOLDEN=write, and look at the difference.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from control.desk import AT, BAN, ROOT, AsPeer, GivenDesk, office_of
from sentinetd.cli import reach
from sentinetd.cli.main import COMMANDS, main
from sentinetd.control.app import Api
from sentinetd.control.client import ControlError, Forbidden, Unreachable
from sentinetd.control.history import Ranking
from sentinetd.model import events as ev
from sentinetd.model.address import Address, Network
from sentinetd.model.order import ImposeBans, Refusal

GOLDEN = Path(__file__).with_name("golden") / "commands"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Answering:
    """In the place of `Client`: the API on a given desk, with a trip and a trouble behind it."""

    desk: GivenDesk

    def __init__(self, path: str, within: float = 15.0) -> None:
        self.path = path
        self._office = office_of(self.desk)
        for source in ("192.0.2.7", "192.0.2.7", "2001:db8::1"):
            trip = ev.SensorTripped(AT - 60, 7, "trap", Address.parse(source), 1, 60.0, "")
            self._office.history.tell(trip)
        self._office.troubles.tell(ev.ListenerFailed(AT - 90, "ftp", "Address already in use (vsftpd)", 5.0))
        assert self._office.history.top(Ranking.SOURCES, 1, 0.0)

    def get(self, path: str, query: Any = None) -> Any:
        return self._asked("GET", path, params={k: _word(v) for k, v in (query or {}).items() if v is not None})

    def post(self, path: str, body: Any) -> Any:
        return self._asked("POST", path, json=body)

    def delete(self, path: str, query: Any) -> Any:
        return self._asked("DELETE", path, params={k: _word(v) for k, v in query.items()})

    def close(self) -> None:
        return

    def _asked(self, method: str, path: str, **more: Any) -> Any:
        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(AsPeer(Api(self._office).app(), ROOT))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, path, **more)

        answer = asyncio.run(call())
        if answer.status_code != 200:
            raise ControlError(answer.json()["error"])
        return answer.json()


def _word(value: Any) -> Any:
    return ("true" if value else "false") if isinstance(value, bool) else value


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[GivenDesk]:
    """Whoever asks the daemon asks this one, at a moment that stands still."""
    made = GivenDesk()
    monkeypatch.setattr(Answering, "desk", made, raising=False)
    monkeypatch.setattr(reach, "Client", Answering)
    monkeypatch.setattr(time, "time", lambda: AT)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield made
    monkeypatch.undo()
    time.tzset()


def printed(words: str, width: int, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """The status of the command and what it printed; *width* 0: into a pipe."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return bool(width)

    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("COLUMNS", str(width or 80))
    monkeypatch.setenv("TERM", "xterm")
    status = main(words.split())
    return status, out.getvalue()


SHOWN = (
    "status", "services", "servers", "bans", "bans --csv", "bans --json", "top", "top sensors", "explain 192.0.2.7",
    "exempt", "ban 192.0.2.7 --for 2h30m --note why", "unban 192.0.2.7", "unban --all", "exempt add 192.0.2.0/24",
    "exempt end 192.0.2.0/24", "reload", "purge --older-than 7d", "status --json", "services --json", "servers --json",
    "explain 192.0.2.7 --json", "top --json", "export csv", "export nft",
)  # fmt: skip


@pytest.mark.parametrize("width", [80, 200, 0], ids=["80 columns", "200 columns", "a pipe"])
@pytest.mark.parametrize("words", SHOWN)
def test_what_a_command_prints(words: str, width: int, desk: GivenDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    status, text = printed(words, width, monkeypatch)
    shown = ESCAPES.sub("", text)
    if not width:
        assert text == shown, "colours in a pipe"
    elif "--json" not in words and "--csv" not in words:
        assert max(map(len, shown.splitlines())) <= width
    name = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-") + f".{width or 'pipe'}.txt"
    told = f"status {status}\n{shown}"
    path = GOLDEN / name
    if os.environ.get("SENTINETD_GOLDEN") == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(told)
    assert told == path.read_text()


def test_no_colour_is_no_colour(desk: GivenDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    for words in ("status", "bans", "explain 192.0.2.7"):
        _, text = printed(words, 80, monkeypatch)
        assert not re.search(r"\x1b\[[0-9;]*3[0-7]", text), words


def test_ban_sends_what_was_written(desk: GivenDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert printed("ban 192.0.2.7 2001:db8::/64 --for 1h30m --note x", 0, monkeypatch)[0] == 0
    ((order, who),) = desk.orders
    assert isinstance(order, ImposeBans)
    assert [(str(one.network), one.span, one.note) for one in order.bans] == [
        ("192.0.2.7", 5400.0, "x"), ("2001:db8::/64", 5400.0, "x"),
    ]  # fmt: skip
    assert who.startswith("uid 0")


def test_ban_reads_a_list(desk: GivenDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("192.0.2.1  # one\n\n192.0.2.2 192.0.2.3\n"))
    assert printed("ban - --for forever", 0, monkeypatch)[0] == 0
    ((order, _),) = desk.orders
    assert isinstance(order, ImposeBans)
    assert [str(one.network) for one in order.bans] == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]


def test_unban_finds_the_network_that_covers_an_address(desk: GivenDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    printed("unban 192.0.2.200", 0, monkeypatch)
    ((order, _),) = desk.orders
    assert str(order.networks) == str((Network.parse(BAN.network),))  # type: ignore[union-attr]


def test_import_bans_what_a_list_names(
    tmp_path: Path, desk: GivenDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = tmp_path / "list"
    listed.write_text("192.0.2.1  # scans\n192.0.2.1\nnonsense\n198.51.100.0/24\n")
    status, text = printed(f"import {listed} --for 2h --note listed", 0, monkeypatch)
    assert (status, text.splitlines()[0]) == (1, "✓ 2 of 3 networks taken; 1 named twice, 1 of no use")
    assert "line 3: " in text
    orders = [one for order, _ in desk.orders for one in order.bans]  # type: ignore[union-attr]
    assert {(str(one.network), one.span) for one in orders} == {("192.0.2.1", 7200.0), ("198.51.100.0/24", 7200.0)}
    desk.orders.clear()
    assert "nothing was ordered" in printed(f"import {listed} --dry-run", 0, monkeypatch)[1]
    assert not desk.orders
    assert printed(f"import {tmp_path}/none", 0, monkeypatch)[0] == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_of_the_shell(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    status, text = printed(f"completion {shell}", 0, monkeypatch)
    assert (status, "_SENTINETCTL_COMPLETE" in text) == (0, True)


def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("sentinetctl")
    script = subprocess.run([program, "completion", "bash"], capture_output=True, text=True, check=True).stdout
    (tmp_path / "script").write_text(script)
    play = f"""
    source {tmp_path}/script
    PATH={program.parent}:$PATH
    COMP_WORDS=(sentinetctl ex) COMP_CWORD=1; _sentinetctl_completion sentinetctl; echo "${{COMPREPLY[@]}}"
    COMPREPLY=()
    COMP_WORDS=(sentinetctl bans --so) COMP_CWORD=2; _sentinetctl_completion sentinetctl; echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "--norc", "-c", play], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["exempt explain export", "--sort --socket"]


def test_a_spreadsheet_runs_nothing(desk: GivenDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    from sentinetd.cli.bans import _csv_word

    assert _csv_word('=HYPERLINK("http://evil.example")').startswith("'=")


def test_what_strangers_wrote_cannot_move_the_cursor(desk: GivenDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.refuse = (Refusal(Network.parse("192.0.2.7"), "evil \x1b[2J\x07 reason"),)
    errors = io.StringIO()
    monkeypatch.setattr(sys, "stderr", errors)
    assert printed("ban 192.0.2.7", 80, monkeypatch)[0] == 2
    assert "\x1b" not in errors.getvalue()
    assert r"\x1b[2J" in errors.getvalue()


ALONE = frozenset({"convert", "map", "plan", "simulate", "check", "import", "completion"})
"""Commands that need no daemon, or read a list first."""
ASKING = [name for name in COMMANDS if name not in ALONE]
WORDS = {
    "ban": "ban 192.0.2.1", "unban": "unban 192.0.2.1", "explain": "explain 192.0.2.1", "console": "console --help",
}  # fmt: skip


@pytest.mark.parametrize("name", ASKING)
@pytest.mark.parametrize(
    ("error", "status"),
    [(Unreachable("no sentinetd listens at /nowhere; start it"), 3), (Forbidden("uid 1 may not"), 4)],
    ids=["no daemon", "no permission"],
)
def test_every_command_without_a_daemon(
    name: str, error: ControlError, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(Answering):
        desk = GivenDesk()

        def _asked(self, method: str, path: str, **more: Any) -> Any:
            raise error

    monkeypatch.setattr(reach, "Client", Failing)
    errors = io.StringIO()
    monkeypatch.setattr(sys, "stderr", errors)
    assert printed(WORDS.get(name, name), 80, monkeypatch) == (status, "")
    assert errors.getvalue() == f"sentinetctl: {error}\n"


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("ban", "Missing argument 'NETWORK...'"),
        ("ban nonsense", "'nonsense' is no network; write one such as 192.0.2.0/24 or 2001:db8::/64"),
        ("ban 192.0.2.1 --for never", "'never' is no span; write 90s, 15m, 2h30m, 7d or forever"),
        ("ban 192.0.2.1 --for 0", "is no span"),
        ("unban", "name what is to be lifted, or --all, and not both"),
        ("unban 192.0.2.1 --all", "not both"),
        ("explain 192.0.2.0/24", "is no address"),
        ("bans --sort colour", "'colour' is not one of"),
        ("bans --limit 0", "0 is not in the range"),
        ("bans 300.1.1.1", "is no network"),
        ("top dogs", "'dogs' is not one of"),
        ("exempt add", "Missing argument"),
        ("exempt remove 1", "No such command 'remove'"),
        ("purge --older-than soon", "is no span"),
        ("status --nonsense", "No such option"),
        ("nonsense", "No such command 'nonsense'"),
    ],
)
def test_garbage_is_one_line_that_says_what_to_do(
    words: str, part: str, desk: GivenDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = io.StringIO()
    monkeypatch.setattr(sys, "stderr", errors)
    status, out = printed(words, 80, monkeypatch)
    assert (status, out) == (2, "")
    told = errors.getvalue()
    assert told.count("\n") == 1
    assert told.startswith("sentinetctl: ")
    assert part in told
