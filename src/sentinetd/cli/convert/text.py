"""Entries as the text of an xinetd.conf(5)."""

from __future__ import annotations

from collections.abc import Iterable

from sentinetd.config.syntax import Entry

WIDTH = 16
"""Columns for the name of an attribute."""


def text_of(entries: Iterable[Entry], title: str) -> str:
    """A whole file that begins with *title*."""
    return "\n".join([f"# {title}", "", *(entry_text(entry) for entry in entries)])


def entry_text(entry: Entry) -> str:
    """One entry, and where it comes from. Lines whose name begins with ``#`` are comments."""
    lines = [f"# {entry.place}", f"service {entry.name}", "{"]
    for line in entry.lines:
        lines.append(f"\t{line.name:<{WIDTH}}{line.operator} {' '.join(line.words)}")
    return "\n".join([*lines, "}", ""])
