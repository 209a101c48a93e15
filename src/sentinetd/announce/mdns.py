"""Tells the local network what services there are, by multicast DNS (RFC 6762, RFC 6763).

The library zeroconf does it; this module is imported only where it is installed and wanted.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Iterator

import ifaddr
from zeroconf import Error, ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

from sentinetd.model.offer import Advertisement

PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds between attempts while the network cannot be had; the last for ever."""
CALM = 1.0
"""Seconds that addresses of the host have to settle, after one has changed."""
MAPPED_ADDRESSES = {4: socket.AF_INET, 6: socket.AF_INET6}


class Advertiser:
    """Advertises what `show` was called with last. *trouble* is told what cannot be advertised, and why."""

    def __init__(self, trouble: Callable[[str], None]) -> None:
        self._trouble = trouble
        self._wanted: dict[int, Advertisement] = {}
        self._shown: dict[int, ServiceInfo] = {}
        self._zeroconf: AsyncZeroconf | None = None
        self._changed = asyncio.Event()
        self._moved = False
        self._told = ""

    def show(self, number: int, advertisement: Advertisement | None) -> None:
        """From now on the service *number* is advertised so; None: not at all."""
        if advertisement is None:
            self._wanted.pop(number, None)
        else:
            self._wanted[number] = advertisement
        self._changed.set()

