"""Bytes that wait: in pages of their own, which go back to the system when nothing waits in them any more.

What is allocated between other things leaves holes that seldom can be given back: a process stays as large as what once
waited in it. Here nothing is between them.
"""

from __future__ import annotations

import mmap

PAGE = 131_072
"""Bytes of a page; a longer piece has one of its own."""


class Spool:
    """Keeps pieces of bytes one behind the other. A page lives for as long as somebody holds a piece of it."""

    __slots__ = ("_page", "_used")

    def __init__(self) -> None:
        self._page: mmap.mmap | None = None
        self._used = 0

    def keep(self, data: bytes) -> memoryview:
        """A copy of *data*."""
        end = self._used + len(data)
        if self._page is None or end > len(self._page):
            self._page = mmap.mmap(-1, max(PAGE, len(data)), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            self._used, end = 0, len(data)
        start, self._used = self._used, end
        self._page[start:end] = data
        return memoryview(self._page)[start:end]
