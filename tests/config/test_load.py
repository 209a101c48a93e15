"""Whole configurations: the article's own, ten thousand services, and what a faulty one leaves standing."""

from __future__ import annotations

import time
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from config.machine import Machine, entry, loaded
from sentinetd.config.dump import configuration
from sentinetd.config.in_force import servable
from sentinetd.config.load import load
from sentinetd.config.table import by_name
from sentinetd.model.service import Family

ARTICLE = Path(__file__).parent / "article.conf"


class Servers(Machine):
    """Has the article's servers."""

    def not_executable(self, path: str) -> str:
        return "" if path in ("/usr/sbin/proftpd", "/usr/sbin/ipop3d") else super().not_executable(path)


def test_the_article() -> None:
    result = load("main.conf", Servers({"main.conf": ARTICLE.read_bytes()}))
    assert not result.diagnostics
    assert result.usable_after()
    table = [(one.id, str(one.address), one.port, one.sensor, one.deny_time) for one in result.services]
    assert table == [
        ("irc-1", "192.168.1.6", 194, True, 7200.0),
        ("irc-2", "192.168.1.7", 194, True, 7200.0),
        ("ftp-1", "192.168.1.5", 21, True, 7200.0),
        ("ftp-2", "192.168.1.8", 21, True, 7200.0),
        ("ftp-3", "192.168.1.6", 21, False, 0.0),
        ("ftp-4", "192.168.1.7", 21, False, 0.0),
        ("www-1", "192.168.1.5", 80, True, 7200.0),
        ("www-2", "192.168.1.8", 80, True, 7200.0),
        ("pop-3", "192.168.1.6", 110, False, 0.0),
    ]
    assert all(servable(one) and one.family is Family.IPV4 and not one.wait for one in result.services)
    ftp = result.services[4]
    assert (ftp.nice, ftp.instances, ftp.argv, ftp.credentials.uid) == (-2, 10, ("proftpd",), 0)


def test_ten_thousand_services_in_a_few_seconds() -> None:
    """Sixty thousand ports do not matter here, time does: processor seconds, so that a busy machine does not."""
    lines = "type = UNLISTED; port = {}; log_on_success += EXIT; no_access = 10.1.2.3 192.0.2.0/24; cps = 10 20"
    text = "defaults\n{\nonly_from = 10.0.0.0\nlog_on_success = PID\n}\n"
    text += "".join(entry(f"s{port}", lines.format(port)) for port in range(1, 10_001))
    machine = Machine({"main.conf": text.encode()})
    begin = time.process_time()
    result = load("main.conf", machine)
    assert time.process_time() - begin < 5.0
    assert len(result.services) == 10_000


WORDS = st.one_of(
    st.sampled_from(
        [
            "yes",
            "no",
            "-1",
            "0",
            "00",
            "1",
            "65536",
            "4294967295",
            "UNLIMITED",
            "FILE",
            "SYSLOG",
            "9:00-8:00",
            "INTERNAL",
            "SENSOR",
            "RPC",
            "tcp",
            "udp",
        ]
    ),
    st.sampled_from(
        [
            "stream",
            "dgram",
            "raw",
            "1.2.3.4",
            "::1",
            "10.0.0.0/9",
            "1.{2,3}",
            "::/0",
            "office",
            ".x",
            "²",
            "٣",
            "�",
            "{x}",
            "a,b",
            "=",
            "a=b",
        ]
    ),
    st.text(max_size=12),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(sorted(by_name())), st.lists(WORDS, max_size=3)), max_size=8), st.booleans())
def test_no_value_whatever_makes_it_raise(lines: list[tuple[str, list[str]]], in_defaults: bool) -> None:
    body = "".join(f"{name} = {' '.join(words)}\n" for name, words in lines)
    text = f"defaults\n{{\n{body}}}\n" + entry("ftp", "") if in_defaults else f"service ftp\n{{\n{body}}}\n"
    result = loaded(text.encode("utf-8", "surrogateescape"))
    for one in result.diagnostics:
        assert one.place.file == "main.conf"
        assert one.place.line
        assert str(one).isprintable()
    for service in result.services:
        assert all(line.replace("\t", "").isprintable() for line in configuration(service))


def test_bad_defaults_leave_nothing_standing() -> None:
    result = loaded("defaults\n{\ncps = many 1\n}\n" + entry("ftp", ""))
    assert not result.usable_after()
    assert not result.faulty


def test_a_mistake_that_only_warns_leaves_all_standing() -> None:
    result = loaded(entry("ftp", "only_form = 10.0.0.0"))
    assert result.usable_after()
    assert [one.id for one in result.services] == ["ftp"]


def test_a_start_goes_on_without_a_file_that_is_included_and_a_reload_changes_nothing() -> None:
    one = loaded("include gone\n")
    assert (one.startable, one.usable_after()) == (True, False)


def test_a_reload_goes_on_without_what_the_running_configuration_is_without() -> None:
    one, moved = loaded("include gone\n"), loaded("\n\ninclude gone\n" + entry("ftp", ""))
    more = loaded("include gone\nservice ftp\n{\n")
    assert moved.usable_after(one.unread)
    assert not more.usable_after(one.unread)
    assert one.usable_after(more.unread)
