"""The pages of the documentation, and what is written in them to be used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEAD = re.compile(r"^## (.+)$", re.MULTILINE)


def pages() -> list[Path]:
    return sorted(DOCS.rglob("*.md"))


def blocks(page: Path, language: str) -> list[str]:
    """What stands between fences that are marked with *language*."""
    return [text for marked, text in _BLOCK.findall(page.read_text()) if marked == language]


def sections(page: Path) -> Iterator[tuple[str, str]]:
    """The headings of the second level, each with what is below it."""
    parts = _HEAD.split(page.read_text())
    yield from zip(parts[1::2], parts[2::2], strict=True)
