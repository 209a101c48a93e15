"""Where things are written whose lines have moved within their file, worked out when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sentinetd.model.values import Place


class Moved(Mapping[str, Place]):
    """*places* of the entry *lines* lines long that began at *begin* and begins at *now*, of the same file. What is
    written elsewhere, as in the defaults, is where it was."""

    __slots__ = ("_begin", "_by", "_lines", "_places")

    def __init__(self, places: Mapping[str, Place], begin: Place, lines: int, now: Place) -> None:
        self._places = places
        self._begin = begin
        self._lines = lines
        self._by = now.line - begin.line
        if isinstance(places, Moved) and places._lines == lines:  # what moves again and again stays one
            self._places = places._places
            self._begin = places._begin
            self._by += places._by

    def __getitem__(self, name: str) -> Place:
        place, begin = self._places[name], self._begin
        if place.file == begin.file and begin.line <= place.line < begin.line + self._lines:
            return Place(place.file, place.line + self._by)
        return place

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
