"""What the last reading of the configuration came to, so that the next one pays for what is new.

An entry without mistakes, about which there was nothing to remark, comes to the same service again as long as its
text, the defaults and everything that was asked of the machine are the same. All of that is looked at again each time;
what differs, and what is told of, is read as if for the first time.
"""

from __future__ import annotations

from sentinetd.config.draft import Draft
from sentinetd.config.host import Host
from sentinetd.config.moved import Moved
from sentinetd.config.pieces import Cutter, Piece
from sentinetd.model.noun import dataclass, replace
from sentinetd.model.service import Service
from sentinetd.model.values import Place


@dataclass(frozen=True, slots=True)
class Known:
    """What the entry at *place* came to: its id as it is written, and the service, None where it is not to run."""

    place: Place
    id: str
    service: Service | None


class Recall:
    """Remembers one reading, the last."""

    def __init__(self) -> None:
        self.cutter = Cutter()
        """How the files were cut."""
        self._before: dict[bytes, Known] = {}  # by text
        self._now: dict[bytes, Known] = {}
        self._defaults: Draft | None = None
        self._host: Host | None = None

    def begin(self, defaults: Draft, host: Host) -> None:
        """Another reading begins, with *defaults*. Unless they are as before, and *host* says what it said, all is
        forgotten."""
        as_before = self._host is not None and defaults == self._defaults and host.as_before(self._host)
        self._before, self._now = self._now if as_before else {}, {}
        self._defaults, self._host = defaults, host

    def known(self, piece: Piece) -> Known | None:
        """What *piece* comes to; None if that has to be found out."""
        known = self._before.get(piece.text)
        if known is None or known.place.file != piece.place.file:
            return None
        if known.place is not piece.place and known.place != piece.place:
            known = _moved(known, piece)
        self._now[piece.text] = known
        return known

    def keep(self, piece: Piece, name: str, service: Service | None) -> None:
        """*piece*, of the id *name*, comes to *service*, and there was nothing to remark."""
        self._now[piece.text] = Known(piece.place, name, service)


def _moved(known: Known, piece: Piece) -> Known:
    """*known*, whose lines have moved within their file to where *piece* is."""
    service = known.service
    if service is None:
        return Known(piece.place, known.id, None)
    places = Moved(service.places, known.place, piece.text.count(b"\n"), piece.place)
    return Known(piece.place, known.id, replace(service, places=places))
