"""A process that waits to be told what it is started with."""

from __future__ import annotations

import gc
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sentinetd.daemon.haste import NEVER, USUAL, YOUNG
from sentinetd.daemon.newborn import CHANNEL, Newborn, born, tell, whole
from sentinetd.errors import EdgeError

WORDS = "newborn_words"
SCRIPT = f"""\
from sentinetd.daemon.newborn import whole
import gc, os, signal

def main(words):
    before = gc.get_threshold()
    told = whole(words)
    path = os.environ["{WORDS}"]
    blocked = sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    with open(path + ".new", "w") as file:
        file.write(repr((words, told, before, gc.get_threshold(), gc.get_freeze_count() > 1000, blocked, os.getsid(0))))
    os.rename(path + ".new", path)
    return 5
"""


@pytest.fixture
def newborn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Newborn]:
    (tmp_path / "told.py").write_text(SCRIPT)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv(WORDS, str(tmp_path / "words"))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))
    try:
        one = born("told")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    yield one
    one.channel.close()


def status(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize(
    "words", [[], ["--user", "nobody"], ["", "a b", "\udcff"]], ids=["none", "some", "empty and odd ones"]
)
def test_it_hears_the_rest_of_its_command_line(newborn: Newborn, words: list[str], tmp_path: Path) -> None:
    newborn.tell(words)
    assert status(newborn.pid) == 5
    own, told, looked, looks, frozen, blocked, session = eval((tmp_path / "words").read_text())
    assert own[0] == CHANNEL
    assert told == [*own, *words]
    assert (looked, looks, frozen) == ((YOUNG, NEVER, NEVER), USUAL, True)
    assert blocked == []
    assert session == newborn.pid


def test_without_a_word_it_hears_that_the_guard_is_gone(newborn: Newborn, tmp_path: Path) -> None:
    newborn.channel.close()
    assert status(newborn.pid) == 5
    assert eval((tmp_path / "words").read_text())[1] is None


def test_one_that_is_not_wanted_is_gone(newborn: Newborn) -> None:
    newborn.end()
    with pytest.raises(ChildProcessError):
        os.waitpid(newborn.pid, 0)


def test_to_tell_one_that_has_died_is_no_mistake(newborn: Newborn) -> None:
    os.kill(newborn.pid, signal.SIGKILL)
    assert status(newborn.pid) == -signal.SIGKILL
    newborn.tell(["--user", "nobody"])


def test_no_process_is_an_edge_error(monkeypatch: pytest.MonkeyPatch) -> None:
    held = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(EdgeError, match="told: No such file or directory"):
        born("told")
    assert len(os.listdir("/proc/self/fd")) == held


def test_what_is_sent_before_it_reads_is_one_packet_and_not_what_follows() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        tell(ours, ["--warm"])
        ours.send(b"more")
        assert whole([CHANNEL, str(theirs.fileno())]) == [CHANNEL, str(theirs.fileno()), "--warm"]
        gc.unfreeze()
        assert theirs.recv(10) == b"more"


@pytest.mark.parametrize("words", [[], [CHANNEL], [CHANNEL, "x"], ["--state", "/s"]])
def test_what_names_no_channel_is_for_others_to_complain_of(words: list[str]) -> None:
    assert whole(words) == words
