"""Bans in our own nftables table: hash sets whose elements end by themselves, and the few rules that look into them.

A set holds networks of one length: the source is masked and looked up, so a look-up costs the same however many bans
there are, and a network takes one element. (Sets of intervals hold any length, and take 13 ms for one element more
among 100,000.) What an operator exempts is looked up first. The rules see the SYN that begins a TCP connection, and
datagrams to ports of ours; so no session that is open, no answer to what the host began, and no ICMP is ever refused.

The chain comes before connection tracking and the chains of other firewalls (priority raw - 10): what we refuse costs
them nothing, and what they say of the rest stays theirs.
"""

from __future__ import annotations

import errno
import math
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import islice

from sentinetd.errors import EdgeError
from sentinetd.firewall import expressions as ex
from sentinetd.firewall import tables as tb
from sentinetd.firewall.elements import bare, timed, times_in
from sentinetd.firewall.netfilter import Message, NetfilterError
from sentinetd.firewall.own_table import OwnTable
from sentinetd.firewall.tables import Key, KeyType
from sentinetd.model.address import BITS, NOBODY, AddressSet, Network
from sentinetd.model.guarded import GuardedPort
from sentinetd.model.settings import AtStop, FirewallSettings, Guarded, Refusing

PRIORITY = -310  # raw - 10: before connection tracking (-200), and before what others drop or accept
INCOMING, JUDGE, REFUSE = "incoming", "judge", "refuse"
AT_ONCE = 500
"""Elements of one transaction while a whole set is filled: some milliseconds, in which the guard does nothing else."""
SPARE = 65_536
"""Room in a set beyond the bans that may be in force: elements that have ended take theirs until they are collected."""
SLEPT = 1.0
"""Seconds of the machine's sleep after which timeouts in the kernel are not relied upon."""

ADDRESS = {4: KeyType.IPV4, 6: KeyType.IPV6}
Prefix = tuple[int, int]
"""IP version and length: what the networks in one set have in common."""


class Nftables:
    """*maximum*: bans that may be in force; *clock* gives seconds of CLOCK_BOOTTIME.

    The table is claimed by `open` and filled by `replace`; then `apply`, `exempt` and `guard` change it. Each of them
    may raise `EdgeError`, and has then changed nothing: `open` and `replace` mend whatever it was.
    """

    name = "nftables"
    wants_write = False  # the kernel has done its work when it was told

    def __init__(
        self, table: OwnTable, settings: FirewallSettings, maximum: int, clock: Callable[[], float], spare: int = SPARE
    ) -> None:
        self._table = table
        self._settings = settings
        self._size = maximum + spare
        self._clock = clock
        self._updates = False  # whether to add an element again gives it its new end
        self._wired = False
        self._generation = 0
        self._bans: dict[Prefix, str] = {}
        self._others: list[str] = []  # the sets of exemptions and ports
        self._exempt: AddressSet = NOBODY
        self._ports: frozenset[GuardedPort] = frozenset()
        self._slept = 0.0

    def fileno(self) -> int:
        """Readable when another program changed something in nftables."""
        return self._table.fileno()

    def flush(self) -> None:
        """Nothing waits."""

    def open(self) -> None:
        """Claim the table. What a daemon before us left in it goes on being refused until `replace` is done."""
        self._wired = False
        self._table.claim()
        numbers = [name.rpartition("_")[2] for name in self._left_over(())]
        self._generation = max((int(number) for number in numbers if number.isdigit()), default=0)
        self._updates = self._probed()

    def trouble(self) -> str:
        """What another program did to the table since the last call, in words; empty if nothing."""
        if self._table.disturbed():
            return f"another program changed the table inet {self._table.name}"
        return ""

    def replace(self, bans: Iterable[tuple[Network, float]]) -> Iterator[None]:
        """Make *bans*, (network, until) each, the whole truth: the old sets hold until the new ones are full and take
        their place at one instant. Each step of the iterator is a transaction of some milliseconds."""
        self._generation += 1
        fresh: dict[Prefix, str] = {}
        rest = iter(bans)
        slept = _asleep()
        while chunk := list(islice(rest, AT_ONCE)):
            rows = self._rows(chunk)
            made = [prefix for prefix in rows if prefix not in fresh]
            fresh.update({prefix: self._named("ban", prefix) for prefix in made})
            messages = [self._ban_set(prefix, fresh[prefix]) for prefix in made]
            for prefix, elements in rows.items():
                messages += tb.elements(self._table.name, fresh[prefix], elements)
            self._transact(messages, "filling a set of bans")
            yield
        messages = [
            tb.hooked_chain(self._table.name, INCOMING, tb.PREROUTING, PRIORITY),
            tb.chain(self._table.name, JUDGE),
            tb.chain(self._table.name, REFUSE),
        ]
        self._others = []
        rules, others = self._rules(fresh)
        stale = self._left_over({*fresh.values()})
        messages += [*rules, *(tb.no_set(self._table.name, name) for name in stale)]
        self._transact(messages, "replacing the bans")
        self._bans, self._others = fresh, others
        self._wired = True
        self._slept = slept

    def apply(self, imposed: Mapping[Network, float], lifted: Collection[Network], ended: Collection[Network]) -> None:
        """*imposed* are in force until their ends, *lifted* no longer. What has *ended* ends in the kernel by itself,
        but for a machine that slept meanwhile: timeouts there stand still in its sleep."""
        rows = self._rows(imposed.items())
        made = {prefix: self._named("ban", prefix) for prefix in rows if prefix not in self._bans}
        bans, others = {**self._bans, **made}, self._others
        messages = [self._ban_set(prefix, name) for prefix, name in made.items()]
        if made:
            self._generation += 1
            rules, others = self._rules(bans)
            messages += rules
        # What lasts for ever has no timeout to update; and where the kernel does not update, an element is made anew.
        anew = imposed if not self._updates else [one for one, until in imposed.items() if math.isinf(until)]
        slept = _asleep() - self._slept > SLEPT
        messages += self._gone(bans, (*anew, *lifted, *(ended if slept else ())))
        for prefix, elements in rows.items():
            messages += tb.elements(self._table.name, bans[prefix], elements)
        self._transact(messages, "putting bans in force")
        self._bans, self._others = bans, others

    def exempt(self, sources: AddressSet) -> None:
        """From now on nothing of *sources* is refused, in place of those named before."""
        self._exempt = sources
        self._wire_again("exempting")

    def guard(self, ports: Collection[GuardedPort]) -> None:
        """Which *ports* are ours, in place of those named before."""
        if self._ports != frozenset(ports):
            self._ports = frozenset(ports)
            self._wire_again("naming our ports")

    def close(self) -> None:
        """Let go of the table. What it holds stays in force, unless `at_stop` says otherwise."""
        if self._settings.at_stop is AtStop.REMOVE:
            self.leave()
        else:
            self._table.close()

    def leave(self) -> None:
        """Nothing of ours stays in force."""
        self._wired = False
        self._table.remove()

    def _wire_again(self, purpose: str) -> None:
        if self._wired:
            self._generation += 1
            rules, others = self._rules(self._bans)
            self._transact(rules, purpose)
            self._others = others

    def _rules(self, bans: Mapping[Prefix, str]) -> tuple[list[Message], list[str]]:
        """All rules anew, for these sets of *bans*; and the names of the other sets that are made for them."""
        name = self._table.name
        exempt = self._exempt_sets()
        ports = self._port_sets()
        messages = [tb.no_rules(name, one) for one in (INCOMING, JUDGE, REFUSE)]
        messages += [tb.no_set(name, one) for one in self._others]
        for made, key, elements in (*exempt.values(), *ports.values()):
            messages.append(tb.hash_set(name, made, key, len(elements)))
            messages += tb.elements(name, made, elements)
        judged = ex.verdict(ex.GOTO, JUDGE)
        for which, (made, _key, _elements) in ports.items():
            at_ours = _at_port(*which) + ex.looked_up(made, ex.WORD_0)
            messages.append(tb.rule(name, INCOMING, ex.protocol(ex.UDP), at_ours, judged))
            if self._settings.ports is Guarded.OWN:
                messages.append(tb.rule(name, INCOMING, ex.begins_connection(), at_ours, judged))
        if self._settings.ports is Guarded.ALL:
            messages.append(tb.rule(name, INCOMING, ex.begins_connection(), judged))
        for prefix, (made, _key, _elements) in exempt.items():
            messages.append(tb.rule(name, JUDGE, _from(prefix), ex.looked_up(made), ex.verdict(ex.RETURN)))
        for prefix, made in bans.items():
            messages.append(tb.rule(name, JUDGE, _from(prefix), ex.looked_up(made), ex.verdict(ex.GOTO, REFUSE)))
        ours = b"" if self._settings.forwarded else ex.local_destination()
        if self._settings.verdict is Refusing.REJECT:
            # Datagrams are dropped all the same: their sender can be forged, and would be sent our answer.
            messages.append(tb.rule(name, REFUSE, ex.protocol(ex.TCP), ours, ex.counter(), ex.reset()))
        messages.append(tb.rule(name, REFUSE, ours, ex.counter(), ex.verdict(ex.DROP)))
        return messages, [made for made, _key, _elements in (*exempt.values(), *ports.values())]

    def _exempt_sets(self) -> dict[Prefix, tuple[str, Key, list[bytes]]]:
        """By prefix: name, kind of key, elements."""
        found: defaultdict[Prefix, set[bytes]] = defaultdict(set)
        for network in self._exempt.networks:
            if not network.scope:
                found[network.version, network.length].add(bare(network.version, network.value))
        return {
            prefix: (self._named("exempt", prefix), Key((ADDRESS[prefix[0]],)), sorted(elements))
            for prefix, elements in sorted(found.items())
        }

    def _port_sets(self) -> dict[tuple[int, bool], tuple[str, Key, list[bytes]]]:
        """By IP version and whether an address is part of it: name, kind of key, elements."""
        found: defaultdict[tuple[int, bool], set[bytes]] = defaultdict(set)
        for one in self._ports:
            where = b"" if one.address is None else one.address.value.to_bytes(BITS[one.version] // 8, "big")
            key = bytes([one.protocol, 0, 0, 0]) + where + one.port.to_bytes(2, "big") + bytes(2)
            found[one.version, one.address is not None].add(tb.element(key))
        return {
            (version, at): (
                f"port{version}{'_at' if at else ''}_{self._generation}",
                Key((KeyType.PROTOCOL, *((ADDRESS[version],) if at else ()), KeyType.PORT)),
                sorted(elements),
            )
            for (version, at), elements in sorted(found.items())
        }

    def _rows(self, bans: Iterable[tuple[Network, float]]) -> dict[Prefix, list[bytes]]:
        """Elements by prefix. Bans that have ended are left out, and those tied to an interface."""
        now = self._clock()
        rows: dict[Prefix, list[bytes]] = {}
        for network, until in bans:
            if until > now and not network.scope:
                ends = bare(network.version, network.value) if math.isinf(until) else timed(network, until - now)
                rows.setdefault((network.version, network.length), []).append(ends)
        return rows

    def _gone(self, bans: Mapping[Prefix, str], networks: Iterable[Network]) -> Iterator[Message]:
        """Messages after which *networks* are not in the sets, whether they were or not: to take out what is not there
        is an error (and DESTROYSETELEM, which is none, is not to be had before Linux 6.3)."""
        rows: defaultdict[str, list[bytes]] = defaultdict(list)
        for network in networks:
            name = bans.get((network.version, network.length))
            if name is not None and not network.scope:
                rows[name].append(bare(network.version, network.value))
        for name, elements in rows.items():
            yield from tb.elements(self._table.name, name, elements)
            yield from tb.no_elements(self._table.name, name, elements)

    def _ban_set(self, prefix: Prefix, name: str) -> Message:
        return tb.hash_set(self._table.name, name, Key((ADDRESS[prefix[0]],)), self._size, timeouts=True)

    def _named(self, what: str, prefix: Prefix) -> str:
        return f"{what}{prefix[0]}_{prefix[1]}_{self._generation}"

    def _left_over(self, used: Collection[str]) -> list[str]:
        """The sets in the table that are not among the *used* ones."""
        return [name for name in self._table.sets() if name not in used]

    def _probed(self) -> bool:
        """Whether to add an element once more gives it a new end (Linux 6.12) or changes nothing."""
        of, name, one = self._table.name, f"probe_{self._generation + 1}", Network(4, 0, 32)
        self._transact([tb.hash_set(of, name, Key((KeyType.IPV4,)), 8, timeouts=True)], "trying a set")
        for seconds in (3600.0, 7200.0):
            self._transact(tb.elements(of, name, [timed(one, seconds)]), "trying an element")
        told = [row for answer in self._table.elements(name) for row in times_in(answer)]
        self._transact([tb.no_set(of, name)], "trying a set")
        return told == [7200.0]

    def _transact(self, messages: list[Message], purpose: str) -> None:
        try:
            self._table.transact(messages, purpose)
        except NetfilterError as error:
            if error.errno == errno.ENOENT and 0 <= error.index < len(messages):
                named = tb.expressions_in(messages[error.index])
                if named:
                    raise EdgeError(
                        f"{purpose}: this kernel lacks one of the expressions {', '.join(named)} of nftables"
                    ) from error
            raise


def _from(prefix: Prefix) -> bytes:
    """Load the network of that length that the source lies in."""
    version, length = prefix
    load = ex.family(version) + ex.payload(ex.NETWORK_HEADER, ex.SOURCE[version])
    if length == BITS[version]:
        return load
    full = (1 << BITS[version]) - 1
    return load + ex.masked((full ^ (full >> length)).to_bytes(BITS[version] // 8, "big"))


def _at_port(version: int, at: bool) -> bytes:
    """Load protocol, maybe the address asked for, and port, as the sets of ports have them."""
    load = ex.family(version) + ex.meta(ex.META_PROTOCOL, ex.WORD_0)
    word = ex.WORD_0 + 1
    if at:
        load += ex.payload(ex.NETWORK_HEADER, ex.DESTINATION[version], word)
        word += BITS[version] // 32
    return load + ex.payload(ex.TRANSPORT_HEADER, ex.PORT, word)


def _asleep() -> float:
    """Seconds that the machine has slept since it began: what CLOCK_MONOTONIC leaves out of CLOCK_BOOTTIME."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
