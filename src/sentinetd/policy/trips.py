"""A sensor was touched, or a ban was ordered or heard of: what follows from it for those who are connected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sentinetd.model.address import Network
from sentinetd.model.connection import Connection
from sentinetd.model.manner import Manner
from sentinetd.model.service import Flag, Service, SocketType
from sentinetd.policy.bans import Bans
from sentinetd.policy.behind import Visitors
from sentinetd.policy.effects import Effect, Impose, Play, Say
from sentinetd.policy.inputs import Moment
from sentinetd.policy.plays import Plays
from sentinetd.policy.servers import Servers
from sentinetd.policy.services import Running, whose


class Trips:
    """Bans by *bans*, and ends those of *servers* that are to end then. *plays*: clients that sensors go on with."""

    def __init__(self, bans: Bans, servers: Servers, plays: Plays) -> None:
        self._bans = bans
        self._servers = servers
        self._plays = plays

    def touched(self, running: Running, connection: Connection, now: Moment, *, exempt: bool) -> list[Effect]:
        """A sensor was touched: ban first, then tell, then hand over to the porter where there is more to be done, or
        say the banner. Who was banned before gets neither. *exempt*: the source is never banned, or not for this."""
        service = running.service
        plays = running.manner is Manner.PLAYED
        greeted = (plays or bool(service.banner)) and not self._bans.refuses(connection, service, now)
        plays = plays and greeted and self._plays.begin(running, connection, whose(connection.source), now)
        effects = self._bans.tripped(service, connection, now, exempt=exempt, each=plays)
        if self._servers.visitors or self._servers.sessions:
            effects = list(self._ending(effects, now))
        if plays:
            effects.append(Play(connection))
        elif running.manner is Manner.PLAYED:
            effects += self._plays.too_many(now)
        elif greeted and speaks(service, connection):
            effects.append(Say(connection, service.banner))
        return effects

    def imposing(self, effects: Iterable[Effect], now: Moment) -> Iterable[Effect]:
        """Do *effects*; whoever is banned by them sends no further datagram to an intercepted service's server, and
        loses the servers that are to end then (end_sessions)."""
        return self._ending(effects, now) if self._servers.visitors or self._servers.sessions else effects

    def _ending(self, effects: Iterable[Effect], now: Moment) -> Iterator[Effect]:
        for effect in effects:
            yield effect
            if isinstance(effect, Impose):
                for ending in (self._servers.visitors, self._servers.sessions):
                    if ending:
                        yield from self._end_those_of(effect.network, ending, now)

    def _end_those_of(self, network: Network, ending: Visitors, now: Moment) -> Iterator[Effect]:
        """Of the connections *ending* when their source is banned, end those of *network*."""
        for number in list(ending.within(network)):
            server = self._servers.running[number]
            if self._bans.refuses(server.connection, server.running.service, now):
                yield from self._servers.terminate(server, now)


def speaks(service: Service, connection: Connection) -> bool:
    """Whether a banner can be said: to a stream that was accepted for its server."""
    if service.wait and (Flag.INTERCEPT not in service.flags or connection.source is None):
        return False
    return service.socket_type is SocketType.STREAM
