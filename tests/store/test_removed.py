"""A store that somebody removes while it is in use: everything that it knew is there again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sentinetd.errors import EdgeError
from sentinetd.model.address import Network
from sentinetd.model.ban import Ban
from sentinetd.store.sqlite import Store

NOW = 1_700_000_000.0
FIRST, SECOND = (Ban(Network.parse(f"192.0.2.{last}"), NOW, NOW + 3600.0, "irc", note="why") for last in (1, 2))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    made = tmp_path / "state"
    made.mkdir()
    return made


@pytest.fixture
def store(state: Path) -> Iterator[Store]:
    """A store that keeps one ban."""
    made = Store(str(state))
    made.open()
    made.write([FIRST])
    yield made
    made.close()


def kept(state: Path) -> list[Ban]:
    """What a successor finds."""
    successor = Store(str(state))
    successor.open()
    try:
        return sorted((one for chunk in successor.load(NOW) for one in chunk), key=lambda ban: ban.network.value)
    finally:
        successor.close()


def test_it_is_put_back_with_the_next_change(store: Store, state: Path) -> None:
    for path in state.iterdir():
        path.unlink()
    store.write([SECOND])
    with pytest.raises(EdgeError, match="is held by process"):
        Store(str(state)).open(patience=0.0)  # the lock as well
    store.close()
    assert kept(state) == [FIRST, SECOND]
    assert "bans.sqlite.new" not in os.listdir(state)


def test_it_is_put_back_at_the_end(store: Store, state: Path) -> None:
    for path in state.iterdir():
        path.unlink()
    store.close()
    assert kept(state) == [FIRST]


def test_without_its_directory_it_is_tried_again(store: Store, state: Path) -> None:
    shutil.rmtree(state)
    for _ in range(2):
        with pytest.raises(EdgeError, match="was removed, and cannot be put back: No such file or directory; make its"):
            store.write([SECOND])
    state.mkdir()
    store.write([SECOND])
    store.close()
    assert kept(state) == [FIRST, SECOND]


def test_what_cannot_be_opened_yet_is_opened_later(
    store: Store, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (state / "bans.sqlite").unlink()
    with monkeypatch.context() as patched:
        patched.setattr(Store, "open", refuse)
        with pytest.raises(EdgeError, match="not now"):
            store.write([SECOND])
    store.write([SECOND])
    store.close()
    assert kept(state) == [FIRST, SECOND]


def refuse(store: Store, patience: float = 5.0) -> None:
    raise EdgeError("not now")


def test_another_file_in_its_place_is_left_there(store: Store, state: Path) -> None:
    """An operator's, from a copy; he may not know that the daemon runs."""
    (state / "bans.sqlite").unlink()
    (state / "bans.sqlite").write_bytes(b"his")
    with pytest.raises(EdgeError, match="stop the daemon to replace it"):
        store.write([SECOND])
    assert (state / "bans.sqlite").read_bytes() == b"his"
