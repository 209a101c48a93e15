"""An entry as the text of an xinetd.conf(5)."""

from __future__ import annotations

from sentinetd.config.syntax import Entry

WIDTH = 16
"""Columns for the name of an attribute."""


def entry_text(entry: Entry) -> str:
    """One entry, and where it comes from. Lines whose name begins with ``#`` are comments."""
    lines = [f"# {entry.place}", f"service {entry.name}", "{"]
    for line in entry.lines:
        lines.append(f"\t{line.name:<{WIDTH}}{line.operator} {' '.join(line.words)}")
    return "\n".join([*lines, "}", ""])
