"""A list taken in: counted, capped, told with its lines, never in force by accident."""

from __future__ import annotations

import math
from typing import Any

import pytest

from report.samples import OBSERVER
from sentinetd.lists.head import Head
from sentinetd.lists.intake import BATCH, FAULTS_TOLD, Intake, Limits
from sentinetd.lists.readers import READERS, guessed
from sentinetd.lists.table import WRITERS
from sentinetd.model.address import Network
from sentinetd.model.ban import Ban, Origin
from sentinetd.model.order import LONGEST_NOTE, Refusal

NOW = 1_795_422_817.0


def taken(text: str, kind: str = "plain", **limits: Any) -> tuple[Intake, list[tuple[str, float, str]]]:
    intake = Intake(READERS[kind], Limits(**limits))
    batches = list(intake.batches([text.encode()], NOW))
    assert all(len(batch.bans) == len(batch.lines) <= BATCH for batch in batches)
    return intake, [(str(ban.network), ban.span, ban.note) for batch in batches for ban in batch.bans]


def told(intake: Intake) -> list[tuple[int, str]]:
    return [(fault.line, fault.text) for fault in intake.tally.faults]


def test_spans_and_notes_are_the_lists_own_or_the_given() -> None:
    text = '["192.0.2.1", {"ip": "192.0.2.2", "span": 60, "note": "n"}, {"ip": "192.0.2.3", "until": null}]'
    assert taken(text, "json", span=600.0, note="feed", longest=900.0)[1] == [
        ("192.0.2.1", 600.0, "feed"), ("192.0.2.2", 60.0, "n"), ("192.0.2.3", 900.0, "feed"),
    ]  # fmt: skip


def test_without_a_span_nothing_is_banned() -> None:
    intake, bans = taken("192.0.2.1\n", span=None)
    assert bans == []
    assert told(intake) == [(1, "192.0.2.1: for how long? The list does not say")]
    assert intake.tally.told() == "0 of 1 networks taken; 1 without a span"


def test_what_must_not_be_is_counted_and_told_with_its_line() -> None:
    text = "192.0.2.1\nrubbish\n0.0.0.0/0\n::/0\n1.0.0.0/7\n2001:db8::/32\n2000::/3\n10.0.0.0/8\n"
    intake, bans = taken(text)
    assert [network for network, _, _ in bans] == ["192.0.2.1", "2001:db8::/32", "10.0.0.0/8"]
    assert told(intake) == [
        (2, "'rubbish' is no address and no network"), (3, "0.0.0.0/0 is wider than /8"),
        (4, "::/0 is wider than /16"), (5, "'1.0.0.0/7' has host bits set; 0.0.0.0/7 or 1.0.0.0?"),
        (7, "2000::/3 is wider than /16"),
    ]  # fmt: skip
    assert intake.tally.told() == "3 of 6 networks taken; 3 too wide, 2 of no use"


@pytest.mark.parametrize(
    ("text", "networks", "covered"),
    [
        pytest.param("192.0.2.1,60\n192.0.2.1,60\n", ["192.0.2.1"], 1, id="twice"),
        pytest.param("192.0.2.1,60\n192.0.2.1,90\n", ["192.0.2.1", "192.0.2.1"], 0, id="twice, then for longer"),
        pytest.param("192.0.2.0/24,60\n192.0.2.1,60\n", ["192.0.2.0/24"], 1, id="inside another"),
        pytest.param("192.0.2.0/24,60\n192.0.2.1,90\n", ["192.0.2.0/24", "192.0.2.1"], 0, id="inside, for longer"),
        pytest.param("192.0.2.1,60\n192.0.2.0/24,60\n", ["192.0.2.1", "192.0.2.0/24"], 0, id="around another"),
        pytest.param("192.0.2.1,60\n::c000:201,60\n", ["192.0.2.1", "::c000:201"], 0, id="another family"),
    ],
)
def test_overlaps(text: str, networks: list[str], covered: int) -> None:
    intake, bans = taken(text, "csv")
    assert [network for network, _, _ in bans] == networks
    assert intake.tally.covered == covered


def test_no_more_than_may_come() -> None:
    text = "".join(f"10.0.{number >> 8}.{number & 255}\n" for number in range(1200))
    intake, bans = taken(text, most=1000)
    assert (len(bans), intake.tally.beyond) == (1000, 200)
    assert told(intake) == [(1001, "10.0.3.232 and what follows: more than 1000 networks")]


def test_what_is_over_is_passed_over() -> None:
    intake, bans = taken("192.0.2.1,-5s\n192.0.2.2,0\n", "csv")
    assert (bans, intake.tally.over) == ([], 2)


def test_faults_that_are_told_have_a_bound() -> None:
    intake, _ = taken("x\n" * 1000)
    assert (len(intake.tally.faults), intake.tally.faulty) == (FAULTS_TOLD, 1000)


def test_a_note_has_a_bound() -> None:
    assert len(taken("192.0.2.1 " + "x" * 2000)[1][0][2]) == LONGEST_NOTE


def test_what_the_guard_declines_goes_back_to_its_line() -> None:
    intake = Intake(READERS["plain"], Limits())
    [batch] = intake.batches([b"# head\n192.0.2.1\n198.51.100.7\n"], NOW)
    intake.refused(batch, 1, (Refusal(Network.parse("198.51.100.7"), "it is exempt"),))
    assert told(intake) == [(3, "198.51.100.7: it is exempt")]
    assert intake.tally.told() == "1 of 2 networks taken; 1 declined"


def test_a_part_of_a_long_list_is_given_before_its_end_is_read() -> None:
    read = []

    def chunks() -> Any:
        for number in range(10):
            read.append(number)
            yield b"".join(b"10.%d.%d.%d\n" % (number, more >> 8, more & 255) for more in range(BATCH))

    batches = Intake(READERS["plain"], Limits(span=math.inf)).batches(chunks(), NOW)
    assert len(next(batches).bans) == BATCH
    assert len(read) <= 2


BANS = [
    Ban(Network.parse("192.0.2.1"), NOW, math.inf, "", Origin.OPERATOR),
    Ban(Network.parse("198.51.100.0/24"), NOW, NOW + 600.0, "irc"),
    Ban(Network.parse("2001:db8::/32"), NOW, NOW + 9000.0, "", Origin.FEED),
]


@pytest.mark.parametrize("name", ["plain", "csv", "json", "nft", "ipset"])
def test_what_we_write_we_read_again(name: str) -> None:
    head = Head(OBSERVER, NOW, NOW + 3600)
    data = "".join(f"{line}\n" for line in WRITERS[name](BANS, head)).encode()
    assert guessed(data) == name
    intake = Intake(READERS[name], Limits(span=5.0))
    found = {ban.network: ban.span for batch in intake.batches([data], NOW) for ban in batch.bans}
    told = {one.network: one.span for one in BANS}
    silent = {"plain": told, "nft": {BANS[0].network: 0.0}}.get(name, {})  # who does not say gets the span that is set
    assert found == {network: 5.0 if network in silent else span for network, span in told.items()}
    assert intake.tally.faults == []
