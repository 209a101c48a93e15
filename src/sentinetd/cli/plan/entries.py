"""Proposals as the text of an xinetd.conf(5), which xinetd could read, too."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Iterator

from sentinetd.cli.plan.propose import Proposal
from sentinetd.model.address import Address
from sentinetd.model.diagnostic import printable
from sentinetd.model.noun import dataclass
from sentinetd.net.sock_diag import TCP

WIDTH = 16
"""Columns for the name of an attribute."""
LINE = 100
"""Columns of a comment."""
ENTRY = "service {name}\n{{\n{lines}}}\n"


@dataclass(frozen=True, slots=True)
class Planned:
    """One entry: what it is to become. *address* None: every address."""

    id: str
    proposal: Proposal
    address: Address | None
    text: str


def entries(proposals: Iterable[Proposal], deny_time: str, taken: Collection[str]) -> Iterator[Planned]:
    """An entry for each address of each proposal, or one for all. *deny_time* as it is to be written; *taken*: ids, in
    lower case, that others have."""
    known = set(taken)
    for one in proposals:
        for address in one.addresses or (None,):
            name = _fresh(_id(one, address), known)
            yield Planned(name, one, address, _text(one, name, address, deny_time))


def file_text(planned: Iterable[Planned], made: str) -> str:
    """A whole file; *made* says how it was made."""
    parts = [f"# {made}\n"]
    before: Proposal | None = None
    for one in planned:
        if one.proposal is not before:
            parts.append("\n" + _comment(one.proposal))
        parts.append(one.text)
        before = one.proposal
    return "".join(parts)


def _id(one: Proposal, address: Address | None) -> str:
    if one.rest:
        return one.name
    word = "".join(char if char.isascii() and (char.isalnum() or char in "_-") else "-" for char in one.name)
    return f"{word}-sensor" if address is None else f"{word}-{str(address).replace(':', '-').replace('.', '-')}"


def _fresh(name: str, known: set[str]) -> str:
    fresh, number = name, 1
    while fresh.lower() in known:
        number += 1
        fresh = f"{name}-{number}"
    known.add(fresh.lower())
    return fresh


def _text(one: Proposal, name: str, address: Address | None, deny_time: str) -> str:
    stream = one.port.protocol == TCP
    rows = [
        ("id", name),
        ("type", "INTERNAL UNLISTED"),
        ("flags", "SENSOR"),
        ("socket_type", "stream" if stream else "dgram"),
        ("protocol", one.port.transport),
        ("ports", "unused") if one.rest else ("port", str(one.port.number)),
        ("wait", "no" if stream else "yes"),
        ("bind", "" if address is None else str(address)),
        ("deny_time", deny_time),
    ]
    lines = "".join(f"\t{name:<{WIDTH}}= {value}\n" for name, value in rows if value)
    return ENTRY.format(name=one.name, lines=lines)


def _comment(one: Proposal) -> str:
    said = " ".join(part for part in (one.why, one.beware, f"[{one.cited}]" if one.cited else "") if part)
    return textwrap.fill(printable(said), LINE, initial_indent="# ", subsequent_indent="# ") + "\n"
