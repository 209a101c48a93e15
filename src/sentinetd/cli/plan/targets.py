"""Ports that attackers love, from `targets.toml`: what is looked for there, and who says so."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from sentinetd.cli.plan.ground import Port
from sentinetd.model.noun import dataclass
from sentinetd.net.sock_diag import TCP, UDP

FILE = "targets.toml"
VULNERABILITY = "https://nvd.nist.gov/vuln/detail/"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a claim comes from; *url* is empty for what has none."""

    key: str
    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Target:
    """A port and its lure. *why* is half a sentence; *rank* its place in nmap's order of TCP ports, 0 for none;
    *beware* names who touches it without meaning harm, empty for nobody."""

    port: Port
    name: str
    why: str
    rank: int
    sources: tuple[Source, ...]
    beware: str


@cache
def targets() -> Mapping[Port, Target]:
    """All of them, the most rewarding first."""
    read = tomllib.loads(files(__package__).joinpath(FILE).read_text("utf-8"))
    known = {key: Source(key, row["title"], row.get("url", "")) for key, row in read["sources"].items()}
    rows = (
        Target(
            Port(UDP if row.get("protocol") == "udp" else TCP, row["port"]),
            row["name"],
            row["why"],
            row.get("rank", 0),
            tuple(known.get(key) or _vulnerability(key) for key in row["sources"]),
            row.get("beware", ""),
        )
        for row in read["target"]
    )
    return {row.port: row for row in rows}


def _vulnerability(key: str) -> Source:
    if not key.startswith("CVE-"):
        raise ValueError(f"{FILE}: no source {key}")
    return Source(key, key, VULNERABILITY + key)
