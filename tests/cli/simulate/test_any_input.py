"""Whatever a log or a scan holds, it is read to its end or refused by the error that says so."""

from __future__ import annotations

import io
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from sentinetd.cli.simulate.nmap import Scan
from sentinetd.cli.simulate.replay import Replay
from sentinetd.cli.simulate.text_logs import TextLog
from sentinetd.errors import UsageError
from sentinetd.model.address import Address
from sentinetd.model.service import Flag, Service
from sentinetd.model.settings import Settings
from sentinetd.policy.inputs import Surroundings

WHO = Address.parse("203.0.113.1")
SENSOR = Service(name="telnet", id="telnet", flags=frozenset({Flag.SENSOR}), port=23, deny_time=60.0)
STAMPS = st.sampled_from(
    ["26/11/20@10:05:07", "00/2/30@24:61:61", "9999-12-31T23:59:59Z", "0001-01-01 00:00:00,1", "Feb 29 10:00:00", ""]
)
BODIES = st.sampled_from(
    [
        ": START: telnet pid=1 from=192.0.2.9", ": FAIL: telnet address from=", " s[1]: Adding ", "192.0.2.9", "::",
        " to the global_no_access list for ", "999999999", "-1", " minutes", ", sensor telnet", ", by the operator",
        " Sensor telnet touched by ", ", not banned", " fail2ban.filter [1]: INFO [sshd] Found ", "{", "}", "\\", "\0",
    ]
)  # fmt: skip
LINES = st.builds(lambda stamp, parts: stamp + "".join(parts), STAMPS, st.lists(BODIES, max_size=6))


def replayed(data: bytes, reader: type[TextLog] | type[Scan]) -> TextLog | Scan:
    stream = io.BytesIO(data)
    log = TextLog(stream, 1.8e9) if reader is TextLog else Scan(stream, WHO)
    Replay([SENSOR], Settings(), Surroundings(), lambda name: None).play(log.records())
    return log


@given(st.lists(LINES | st.text(max_size=40).filter(lambda text: "\n" not in text), max_size=8))
def test_lines(lines: list[str]) -> None:
    log = replayed("\n".join(lines).encode("utf-8", "surrogatepass"), TextLog)
    reading = log.reading
    assert reading.unread + reading.idle <= reading.lines <= len(lines)
    assert all(1 <= number <= reading.lines for number, _ in reading.examples)


@given(st.binary(max_size=300))
def test_bytes(data: bytes) -> None:
    replayed(data, TextLog)


PIECES = (
    "<nmaprun start='1' args='-sV'>", "</nmaprun>", "<host starttime='-1'>", "</host>", "<ports/>", "&lt;", "&x;",
    "<scaninfo type='connect' protocol='tcp' services='1-9'/>", "<scaninfo type='syn'/>", "<!DOCTYPE nmaprun>", "]]>",
    "<address addr='192.0.2.1' addrtype='ipv4'/>", "<address addr='x' addrtype='ipv6'/>", "<port portid='9'>",
    "<port protocol='tcp' portid='99999999999999999999'>", "</port>", "<state state='open'/>",
)  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_xml(parts: list[str]) -> None:
    with suppress(UsageError):
        replayed("".join(parts).encode(), Scan)
