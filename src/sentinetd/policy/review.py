"""Those who are served already are judged again: when their service's configuration changes, and as time passes."""

from __future__ import annotations

from collections.abc import Iterator

from sentinetd.model.connection import Connection
from sentinetd.policy.bans import Bans
from sentinetd.policy.checks import AGAIN, Facts
from sentinetd.policy.effects import Effect
from sentinetd.policy.inputs import Moment
from sentinetd.policy.servers import Servers
from sentinetd.policy.services import Running, Services


class Review:
    """Tells *servers* to end that would not be admitted now."""

    def __init__(self, bans: Bans, services: Services, servers: Servers) -> None:
        self._bans = bans
        self._services = services
        self._servers = servers

    def servers(self, running: Running, now: Moment) -> Iterator[Effect]:
        """The servers of a service whose configuration changed are judged by it (xinetd(8), SIGHUP)."""
        facts = Facts(now.minute)

        def admitted(connection: Connection) -> bool:
            return all(check(running.service, connection, facts) is None for check in AGAIN)

        staying = []
        for server in sorted(running.servers.values(), key=lambda one: (one.started, one.connection.number)):
            if not admitted(server.connection):
                yield from self._servers.terminate(server, now)
            elif not server.told_to_end:
                staying.append(server)
        most = running.service.instances
        if most is not None and running.behind is None:
            for server in staying[most:]:  # the oldest stay
                yield from self._servers.terminate(server, now)
        for candidate in self._servers.orders.values():
            if candidate.running is running:
                candidate.unwanted = not admitted(candidate.connection)

    def visitors(self, number: int, now: Moment) -> Iterator[Effect]:
        """Each datagram is to be admitted, not only a client's first: access times begin and end."""
        running = self._services.table.get(number)
        if running is None or running.behind is None:
            return
        running.behind.watched = False
        facts = Facts(now.minute)
        for server in [one for one in running.servers.values() if one.carried]:
            connection = server.connection
            if any(check(running.service, connection, facts) for check in AGAIN) or self._bans.refuses(
                connection, running.service, now
            ):
                yield from self._servers.terminate(server, now)
            else:
                self._servers.watch(number, running.behind, now)
