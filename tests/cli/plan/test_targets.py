"""The list of ports that attackers love: every claim has a source, every source is used, and names can be written."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files

from sentinetd.cli.plan import targets as module
from sentinetd.cli.plan.targets import targets
from sentinetd.net.sock_diag import TCP


def test_every_port_has_a_reason_and_a_source() -> None:
    for port, target in targets().items():
        assert target.why, port
        assert not target.why.endswith("."), port
        assert target.sources, port
        assert (target.rank > 0) >= any(one.key == "nmap" for one in target.sources), f"{port}: nmap without a rank"
        assert all(one.title and (one.url.startswith("https://") or one.key == "article") for one in target.sources)


def test_names_can_be_written_into_an_entry() -> None:
    names = [target.name for target in targets().values()]
    assert len({*names}) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9-]*", name) for name in names)


def test_every_source_is_used() -> None:
    used = {source.key for target in targets().values() for source in target.sources}
    written = tomllib.loads(files(module.__package__).joinpath(module.FILE).read_text("utf-8"))["sources"]
    assert set(written) <= used


def test_the_ports_of_the_article_are_there() -> None:
    """talk, irc, rpc, smb, mysql, netbios: "juicy targets"."""
    by_article = {target.name for target in targets().values() if any(one.key == "article" for one in target.sources)}
    assert {"talk", "irc", "sunrpc", "smb", "mysql", "netbios", "ftp", "http", "pop3"} <= by_article


def test_datagrams_come_last() -> None:
    protocols = [port.protocol for port in targets()]
    assert protocols == sorted(protocols)
    assert protocols.count(TCP) >= 40
