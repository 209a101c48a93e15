"""What waited in a spool leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

from sentinetd.daemon.spool import PAGE, Spool


def own_memory() -> int:
    """KiB of this process that no file backs (proc(5))."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


def test_pieces_are_kept_as_they_are() -> None:
    spool = Spool()
    sizes = (1, PAGE - 1, 1, PAGE, 2 * PAGE, 0, 5)
    given = [bytes([number]) * size for number, size in enumerate(sizes)]
    pieces = [spool.keep(data) for data in given]
    assert [bytes(piece) for piece in pieces] == given


def test_what_is_let_go_of_goes_back_to_the_system() -> None:
    spool = Spool()
    data = b"x" * 1000
    before = own_memory()
    pieces = [spool.keep(data) for _ in range(50_000)]
    kept = []
    assert own_memory() - before > 48_000
    for number, piece in enumerate(pieces):
        kept.append(bytes(piece[:8]) * 100 if number % 50 == 0 else b"")  # others allocate, too
    del pieces, piece
    assert own_memory() - before < 4_000
