"""A result of nmap: what it tried, and what no result of nmap ever holds."""

from __future__ import annotations

import io

import pytest

from sentinetd.cli.simulate import nmap
from sentinetd.cli.simulate.nmap import Scan
from sentinetd.errors import UsageError
from sentinetd.model.address import Address

WHO = Address.parse("203.0.113.1")
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE nmaprun>\n'
HOST = """<host starttime="1000"><status state="up"/><address addr="192.0.2.5" addrtype="ipv4"/>
<address addr="02:00:00:00:00:01" addrtype="mac"/><ports>
<port protocol="tcp" portid="21"><state state="open"/></port>
<port protocol="tcp" portid="23"><state state="closed"/></port>
</ports></host>"""


def result(kind: str = "connect", args: str = "nmap -sT", services: str = "21-23,80", inner: str = HOST) -> str:
    info = f'<scaninfo type="{kind}" protocol="tcp" numservices="4" services="{services}"/>'
    return f'{HEAD}<nmaprun scanner="nmap" args="{args}" start="900">{info}{inner}</nmaprun>'


def scanned(text: str) -> tuple[list[tuple[str, int]], Scan]:
    scan = Scan(io.BytesIO(text.encode()), WHO)
    found = list(scan.records())
    assert all((one.source, one.at, one.served) == (WHO, 1000.0, False) for one in found)
    return [(str(one.address), one.port.number) for one in found if one.port is not None], scan


def test_a_scan_that_connects_touches_all_that_it_names() -> None:
    found, scan = scanned(result())
    assert found == [("192.0.2.5", port) for port in (21, 22, 23, 80)]
    assert not scan.half_open


def test_a_half_open_scan_touches_nothing() -> None:
    found, scan = scanned(result("syn", "nmap -sS"))
    assert found == []
    assert scan.half_open


@pytest.mark.parametrize("option", ["-sV", "-A", "-sC", "--script=vuln"])
def test_but_what_it_asks_of_open_ports_does(option: str) -> None:
    found, scan = scanned(result("syn", f"nmap -sS {option}"))
    assert found == [("192.0.2.5", 21)]
    assert scan.half_open


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param('<!DOCTYPE nmaprun [<!ENTITY a "b">]><nmaprun/>', "document type", id="entities"),
        pytest.param('<!DOCTYPE nmaprun SYSTEM "file:///etc/passwd"><nmaprun/>', "document type", id="a file"),
        pytest.param('<!DOCTYPE nmaprun PUBLIC "a" "http://192.0.2.1/"><nmaprun/>', "document type", id="the network"),
        pytest.param("<!DOCTYPE html><html/>", "document type", id="another type"),
        pytest.param("<feed/>", "it is no result of nmap: it begins with <feed>", id="other XML"),
        pytest.param("<nmaprun><host></nmaprun>", "mismatched tag", id="broken"),
        pytest.param("<nmaprun>", "no element found", id="cut off"),
        pytest.param("<nmaprun>&x;</nmaprun>", "undefined entity", id="an undeclared entity"),
        pytest.param("", "no element found", id="empty"),
    ],
)
def test_what_is_refused(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        scanned(text)


def test_entities_are_refused_before_they_are_expanded() -> None:
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<!DOCTYPE nmaprun [<!ENTITY l0 "lol">{levels}]><nmaprun args="&l9;"/>'
    with pytest.raises(UsageError, match="document type"):
        scanned(bomb)


def test_no_more_ports_than_can_be_played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nmap, "MOST", 10)
    with pytest.raises(UsageError, match="more than 10 ports"):
        scanned(result(services="1-65535"))


def test_odd_values_are_counted() -> None:
    found, scan = scanned(result(services="x-y"))
    assert (found, scan.reading.unread) == ([], 1)
    found, scan = scanned(result(inner=HOST.replace("192.0.2.5", "here")))
    assert (found, scan.reading.unread) == ([], 1)
