"""Tells the local network which services there are, by multicast DNS (RFC 6762, RFC 6763).

The library zeroconf does it; this module is imported only where that is installed and wanted.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from ipaddress import ip_address

import ifaddr
from zeroconf import Error, IPVersion, ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

from sentinetd.model.offer import Advertisement

PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds between attempts while the network cannot be had; the last for ever."""


class Advertiser:
    """Advertises what `show` was called with. *trouble* is told what cannot be advertised, and why."""

    def __init__(self, trouble: Callable[[str], None]) -> None:
        self._trouble = trouble
        self._wanted: dict[int, Advertisement] = {}
        self._shown: dict[int, tuple[Advertisement, ServiceInfo | None]] = {}  # None: it could not be
        self._zeroconf: AsyncZeroconf | None = None
        self._changed = asyncio.Event()
        self._moved = False
        self._down = ""

    def show(self, number: int, advertisement: Advertisement) -> None:
        """From now on the service *number* is advertised so."""
        self._wanted[number] = advertisement
        self._changed.set()

    def hide(self, number: int) -> None:
        """The service *number* is not advertised any more."""
        self._wanted.pop(number, None)
        self._changed.set()

    def move(self) -> None:
        """Addresses of the host changed: everything is advertised anew."""
        self._moved = True
        self._changed.set()

    async def run(self) -> None:
        """Have done what is wanted, for ever."""
        attempts = 0
        while True:
            self._changed.clear()
            try:
                await self._settle()
            except OSError as error:
                await self._close()
                self._tell_down(f"the network cannot be had: {error.strerror or error}")
                pause: float | None = PAUSES[min(attempts, len(PAUSES) - 1)]
                attempts += 1
            else:
                self._tell_down("")
                attempts, pause = 0, None
            try:
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def leave(self) -> None:
        """Say goodbye for all that is advertised."""
        await self._close()

    def _tell_down(self, why: str) -> None:
        if why and why != self._down:
            self._trouble(why)
        self._down = why

    async def _close(self) -> None:
        zeroconf, self._zeroconf = self._zeroconf, None
        self._shown.clear()
        if zeroconf is not None:
            await zeroconf.async_close()

    async def _settle(self) -> None:
        if self._moved or not self._wanted:
            self._moved = False
            await self._close()
        for number, (shown, info) in list(self._shown.items()):
            if self._wanted.get(number) != shown:
                del self._shown[number]
                if info is not None and self._zeroconf is not None:
                    await (await self._zeroconf.async_unregister_service(info))
        missing = [(number, wanted) for number, wanted in self._wanted.items() if number not in self._shown]
        if not missing:
            return
        if self._zeroconf is None:
            # Every answer of the network that comes here is parsed by the library, in this process without rights.
            versions = IPVersion.All if socket.has_dualstack_ipv6() else IPVersion.V4Only
            self._zeroconf = AsyncZeroconf(ip_version=versions)
        zeroconf = self._zeroconf
        # Each takes more than a second, in which others may object to the name (RFC 6762, section 8.1).
        async with asyncio.TaskGroup() as group:
            for number, wanted in missing:
                group.create_task(self._register(zeroconf, number, wanted))

    async def _register(self, zeroconf: AsyncZeroconf, number: int, wanted: Advertisement) -> None:
        try:
            info = described(wanted)
            await (await zeroconf.async_register_service(info, allow_name_change=True))
        except Error as error:
            self._shown[number] = (wanted, None)
            self._trouble(f"{wanted.name} ({wanted.kind}) cannot be advertised: {error or type(error).__name__}")
        else:
            self._shown[number] = (wanted, info)


def described(wanted: Advertisement) -> ServiceInfo:
    """*wanted* in the library's words. Its host has a name for each port, since an address it is bound to need not be
    one of another service."""
    kind = f"{wanted.kind}.local."
    addresses = [wanted.address] if wanted.address else host_addresses(wanted.v4, wanted.v6)
    host = socket.gethostname().partition(".")[0] or "host"
    transport = wanted.kind.rpartition("_")[2]
    return ServiceInfo(
        kind,
        f"{wanted.name}.{kind}",
        wanted.port,
        properties={},
        server=f"{host}-{transport}-{wanted.port}.local.",
        parsed_addresses=addresses,
    )


def host_addresses(v4: bool, v6: bool) -> list[str]:
    """Addresses of this host that others may reach it at, of the wanted versions."""
    found = []
    for adapter in ifaddr.get_adapters():
        for one in adapter.ips:
            address = ip_address(one.ip if isinstance(one.ip, str) else one.ip[0])
            wanted = v4 if address.version == 4 else v6
            if wanted and not address.is_loopback and not address.is_link_local:
                found.append(str(address))
    return found
