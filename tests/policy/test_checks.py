"""The chain: which reason wins, as a table of services, sources and facts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.player import addresses, dgram, sensor, service
from sentinetd.model.address import Address
from sentinetd.model.connection import Connection
from sentinetd.model.service import Flag, Interval, OnSuccess, Service, SourceRate
from sentinetd.model.verdict import ADMIT, ADMITTED, Question, Reason, Unknown, Verdict
from sentinetd.policy.checks import AT_THE_DOOR, CHAIN, FURTHER, OF_SOURCE, Facts, decide, ordinary

ASK = Unknown(Question.NAME, Address.parse("192.0.2.7"))
UNKNOWN: dict[Question, str | None] = dict.fromkeys(Question)
FORBIDDING = Facts(
    minute=700, load=9.0, banned=True, room=False, servers=5, servers_of_source=5, processes=5, limit=5,
    answers=UNKNOWN, pace=False, tables=True,
)  # fmt: skip
"""Facts by which every check objects, for a service with every limit."""


def limited(**attributes: Any) -> Service:
    limits: dict[str, Any] = {
        "only_from": addresses("198.51.100.0/24"),
        "max_load": 2.0,
        "access_times": (Interval(0, 60),),
        "instances": 5,
        "per_source": 5,
    }
    return service(**{**limits, **attributes})


NOTHING_KNOWN = Facts()
ONLY = frozenset({Flag.IDONLY})


def judge(one: Service, facts: Facts = NOTHING_KNOWN, source: str | None = "192.0.2.7") -> Verdict | Unknown:
    connection = Connection(1, 1, None if source is None else Address.parse(source))
    return decide(CHAIN, one, connection, facts) or ADMITTED


def outcome(verdict: Verdict | Unknown) -> Reason | Question:
    return verdict.question if isinstance(verdict, Unknown) else verdict.reason


def test_each_check_comes_before_all_that_follow_it() -> None:
    """Take away one ground to refuse after the other, and the next in the order of the chain shows."""
    named = limited(
        only_from=addresses("a.example", "192.0.2.7"),
        no_access=addresses("b.example"),
        flags=frozenset({Flag.IDONLY}),
        log_on_success=frozenset({OnSuccess.USERID}),
    )
    grounds: list[tuple[Reason, dict[str, Any]]] = [
        (Reason.CPS_SOURCE, {"pace": True}),
        (Reason.CPS, {"room": True}),
        (Reason.LOAD, {"load": 0.0}),
        (Reason.TIME, {"minute": 1}),
        (Reason.INSTANCES, {"servers": 0}),
        (Reason.PER_SOURCE, {"servers_of_source": 0}),
        (Reason.PROCESS_LIMIT, {"processes": 0}),
        (Reason.NAME_UNKNOWN, {"answers": UNKNOWN | {Question.NAME: ""}}),
        (Reason.LIBWRAP, {"tables": False}),
        (Reason.IDENT, {"answers": UNKNOWN | {Question.NAME: "", Question.USER: "root"}}),
    ]
    facts = FORBIDDING
    assert outcome(judge(limited(flags=sensor().flags), facts)) is Reason.SENSOR
    assert outcome(judge(limited(), facts)) is Reason.BANNED
    facts = facts._replace(banned=False)
    assert outcome(judge(limited(), facts)) is Reason.ADDRESS
    for reason, mended in grounds:
        assert outcome(judge(named, facts)) is reason
        facts = facts._replace(**mended)
    assert judge(named, facts) is ADMITTED
    assert len(grounds) + 3 == len(CHAIN)


@pytest.mark.parametrize(
    ("exempt", "one", "reason"),
    [
        pytest.param(True, sensor(), Reason.EXEMPT, id="a sensor tells of an exempt source apart"),
        pytest.param(False, sensor(only_from=addresses("10.0.0.1")), Reason.SENSOR, id="a sensor's lists stay unread"),
        pytest.param(True, service(), Reason.NO_OBJECTION, id="a ban does not hold for an exempt source"),
        pytest.param(False, service(), Reason.BANNED, id="a ban holds"),
        pytest.param(
            False, service(only_from=addresses("192.0.2.7")), Reason.BANNED, id="being listed is no exemption"
        ),
    ],
)
def test_bans(exempt: bool, one: Service, reason: Reason) -> None:
    assert outcome(judge(one, Facts(banned=True, exempt=exempt))) is reason


@pytest.mark.parametrize(
    ("only_from", "no_access", "expected"),
    [
        pytest.param("192.0.2.0/24", "192.0.2.7", "no_access", id="narrower refusal wins"),
        pytest.param("192.0.2.7", "192.0.2.0/24", "", id="narrower admission wins"),
        pytest.param("192.0.2.0/24", "192.0.2.0/24", "no_access", id="a tie denies"),
        pytest.param("0.0.0.0/0", "0.0.0.0/0", "no_access", id="a tie of everybody denies"),
        pytest.param("10.0.0.0/8", "", "only_from", id="not listed"),
        pytest.param("", "", "only_from", id="an empty list admits nobody"),
        pytest.param("::/0", "", "only_from", id="another family"),
        pytest.param("192.0.2.0/24", "10.0.0.0/8", "", id="only admitted"),
    ],
)
def test_numeric_lists(only_from: str, no_access: str, expected: str) -> None:
    verdict = judge(service(only_from=addresses(*only_from.split()), no_access=addresses(*no_access.split())))
    assert verdict == (Verdict(False, Reason.ADDRESS, expected) if expected else ADMITTED)


UNASKED = "not asked"


@pytest.mark.parametrize(
    ("only_from", "no_access", "name", "expected"),
    [
        pytest.param("a.example", "", UNASKED, Question.NAME, id="a name admits: ask"),
        pytest.param("192.0.2.0/24", "b.example", UNASKED, Question.NAME, id="a name refuses: ask"),
        pytest.param("192.0.2.0/24 a.example", "", UNASKED, Reason.NO_OBJECTION, id="admitted by number: no question"),
        pytest.param("a.example", "192.0.2.7", UNASKED, Reason.ADDRESS, id="no name can outdo a refused host"),
        pytest.param("a.example", "192.0.2.0/24", UNASKED, Question.NAME, id="a name can outdo a refused network"),
        pytest.param("a.example", "192.0.2.0/24", "a.example", Reason.NO_OBJECTION, id="a host is narrower"),
        pytest.param(".example", "192.0.2.7", UNASKED, Reason.ADDRESS, id="a domain is wider than a host"),
        pytest.param(".example", "192.0.2.0/24", "x.example", Reason.NO_OBJECTION, id="a domain outdoes a network"),
        pytest.param("a.example", "", "A.Example.", Reason.NO_OBJECTION, id="case and final dot do not matter"),
        pytest.param("a.example", "", "b.example", Reason.NAME, id="another name"),
        pytest.param("a.example", "", "", Reason.NAME, id="no name"),
        pytest.param("a.example", "", None, Reason.NAME_UNKNOWN, id="a missing fact denies"),
        pytest.param("192.0.2.0/24", "b.example", None, Reason.NAME_UNKNOWN, id="a missing fact denies, no_access"),
        pytest.param("192.0.2.0/24", "b.example", "b.example", Reason.NAME, id="refused by name"),
        pytest.param("192.0.2.0/24", "b.example", "", Reason.NO_OBJECTION, id="no name is not the refused one"),
        pytest.param("192.0.2.7", "b.example", "b.example", Reason.NAME, id="host against name is a tie and denies"),
        pytest.param("192.0.2.7", ".example", "b.example", Reason.NO_OBJECTION, id="host against domain admits"),
        pytest.param(".example", ".example", "b.example", Reason.NAME, id="a tie of domains denies"),
        pytest.param(".example", "", "example", Reason.NAME, id="a domain is not a host of its own"),
        pytest.param(".example", "", "badexample", Reason.NAME, id="a domain begins at a dot"),
    ],
)
def test_names(only_from: str, no_access: str, name: str | None, expected: Reason | Question) -> None:
    one = service(only_from=addresses(*only_from.split()), no_access=addresses(*no_access.split()))
    verdict = judge(one, Facts() if name == UNASKED else Facts(answers={Question.NAME: name}))
    assert outcome(verdict) is expected
    assert not isinstance(verdict, Unknown) or verdict == ASK


@given(
    lists=st.lists(
        st.lists(st.sampled_from(["192.0.2.7", "192.0.2.0/24", "192.0.0.0/16", "a.example", ".example"]), unique=True),
        min_size=2,
        max_size=2,
    ),
    name=st.sampled_from(["a.example", "b.example", ""]),
)
def test_what_is_judged_without_the_name_is_judged_the_same_with_it(lists: list[list[str]], name: str) -> None:
    one = service(only_from=addresses(*lists[0]), no_access=addresses(*lists[1]))
    early, late = judge(one), judge(one, Facts(answers={Question.NAME: name}))
    assert isinstance(late, Verdict)
    if isinstance(early, Verdict):
        assert early.allow == late.allow


FACTS = st.builds(
    Facts,
    minute=st.integers(0, 1439),
    load=st.sampled_from([0.0, 2.0]),
    exempt=st.booleans(),
    banned=st.booleans(),
    room=st.booleans(),
    servers=st.integers(0, 6),
    servers_of_source=st.integers(0, 6),
    processes=st.integers(0, 6),
    limit=st.sampled_from([None, 5]),
    answers=st.dictionaries(st.sampled_from(Question), st.sampled_from([None, "a.example", ADMIT])),
    pace=st.booleans(),
    tables=st.booleans(),
)


@given(
    one=st.sampled_from(
        [
            sensor(),
            service(),
            service(no_access=addresses("192.0.2.0/24")),
            limited(only_from=addresses("192.0.2.7", "a.example")),
            limited(flags=ONLY),
        ]
    ),
    source=st.sampled_from(["192.0.2.7", "198.51.100.7", None]),
    facts=FACTS,
)
def test_what_is_judged_at_the_door_is_judged_the_same_by_all_facts(
    one: Service, source: str | None, facts: Facts
) -> None:
    connection = Connection(1, 1, None if source is None else Address.parse(source))
    early = decide(AT_THE_DOOR, one, connection, OF_SOURCE[facts.exempt, facts.banned])
    assert (early or decide(FURTHER, one, connection, facts)) == decide(CHAIN, one, connection, facts)


@given(
    one=st.sampled_from(
        [
            sensor(),
            sensor(no_access=addresses("192.0.2.0/24")),
            service(),
            service(no_access=addresses("192.0.2.0/24")),
            service(only_from=addresses("192.0.2.7")),
            service(only_from=addresses("a.example")),
            service(no_access=addresses("a.example")),
            service(cps_source=SourceRate(1, 1)),
            service(max_load=2.0),
            service(access_times=(Interval(0, 60),)),
            service(instances=5),
            service(per_source=5),
            service(flags=ONLY, log_on_success=frozenset({OnSuccess.USERID})),
            limited(flags=ONLY),
        ]
    ),
    source=st.sampled_from(["192.0.2.7", "198.51.100.7", "2001:db8::1", None]),
    facts=FACTS,
)
def test_in_the_ordinary_whom_a_check_does_not_concern_it_lets_pass(
    one: Service, source: str | None, facts: Facts
) -> None:
    facts = facts._replace(banned=False, room=True, limit=None, tables=False)
    facts = facts._replace(pace=facts.pace or one.cps_source is None)
    connection = Connection(1, 1, None if source is None else Address.parse(source))
    for checks in (AT_THE_DOOR, FURTHER):
        asked = ordinary(checks, one)
        assert decide(asked, one, connection, facts) == decide(checks, one, connection, facts)


def test_of_a_service_without_limits_nothing_is_asked_in_the_ordinary() -> None:
    assert not ordinary(CHAIN, service())


@pytest.mark.parametrize(
    ("attributes", "facts", "reason"),
    [
        pytest.param({"max_load": 2.0}, Facts(load=1.99), Reason.NO_OBJECTION, id="load below"),
        pytest.param({"max_load": 2.0}, Facts(load=2.0), Reason.LOAD, id="load reached"),
        pytest.param({"max_load": 2.0}, Facts(load=float("inf")), Reason.LOAD, id="load that cannot be read"),
        pytest.param({}, Facts(load=99.0), Reason.NO_OBJECTION, id="no max_load"),
        pytest.param({"instances": 2}, Facts(servers=1), Reason.NO_OBJECTION, id="instances below"),
        pytest.param({"instances": 2}, Facts(servers=2), Reason.INSTANCES, id="instances reached"),
        pytest.param({"instances": 0}, Facts(), Reason.INSTANCES, id="no instance at all"),
        pytest.param({"per_source": 2}, Facts(servers_of_source=1), Reason.NO_OBJECTION, id="per_source below"),
        pytest.param({"per_source": 2}, Facts(servers_of_source=2), Reason.PER_SOURCE, id="per_source reached"),
        pytest.param({}, Facts(processes=1, limit=2), Reason.NO_OBJECTION, id="limit below"),
        pytest.param({}, Facts(processes=2, limit=2), Reason.PROCESS_LIMIT, id="limit reached"),
        pytest.param({}, Facts(room=False), Reason.CPS, id="cps"),
    ],
)
def test_limits(attributes: dict[str, Any], facts: Facts, reason: Reason) -> None:
    assert outcome(judge(service(**attributes), facts)) is reason


@pytest.mark.parametrize(
    ("intervals", "minute", "admitted"),
    [
        pytest.param([(120, 540)], 119, False, id="before"),
        pytest.param([(120, 540)], 120, True, id="first minute"),
        pytest.param([(120, 540)], 540, True, id="last minute"),
        pytest.param([(120, 540)], 541, False, id="after"),
        pytest.param([(1320, 360)], 1439, True, id="over midnight, evening"),
        pytest.param([(1320, 360)], 0, True, id="over midnight, morning"),
        pytest.param([(1320, 360)], 361, False, id="over midnight, day"),
        pytest.param([(720, 1440)], 1439, True, id="until 24:00"),
        pytest.param([(0, 60), (600, 660)], 601, True, id="the second of two"),
        pytest.param([], 0, True, id="no interval: always"),
    ],
)
def test_times(intervals: list[tuple[int, int]], minute: int, admitted: bool) -> None:
    one = service(access_times=tuple(Interval(*ends) for ends in intervals))
    assert outcome(judge(one, Facts(minute=minute))) is (Reason.NO_OBJECTION if admitted else Reason.TIME)


def test_a_waiting_stream_service_has_no_source_and_is_judged_by_the_rest() -> None:
    one = service(wait=True, only_from=addresses("10.0.0.1"), per_source=0, max_load=1.0)
    assert judge(one, source=None) is ADMITTED
    assert outcome(judge(one, Facts(load=1.0), source=None)) is Reason.LOAD


@pytest.mark.parametrize(
    ("one", "facts", "attribute"),
    [
        pytest.param(sensor(), Facts(), "flags", id="sensor"),
        pytest.param(dgram(instances=0), Facts(), "instances", id="instances"),
        pytest.param(service(only_from=addresses("a.b")), Facts(answers={Question.NAME: "c"}), "only_from", id="name"),
    ],
)
def test_a_refusal_names_the_attribute_that_decided(one: Service, facts: Facts, attribute: str) -> None:
    verdict = judge(one, facts)
    assert isinstance(verdict, Verdict)
    assert verdict.attribute == attribute


@pytest.mark.parametrize(
    ("flags", "facts", "expected"),
    [
        pytest.param((), Facts(tables=True), Question.TABLES, id="rules: ask"),
        pytest.param((), Facts(tables=False), Reason.NO_OBJECTION, id="no rules: no question"),
        pytest.param((Flag.NOLIBWRAP,), Facts(tables=True), Reason.NO_OBJECTION, id="NOLIBWRAP"),
        pytest.param((), Facts(tables=True, answers={Question.TABLES: ADMIT}), Reason.NO_OBJECTION, id="admitted"),
        pytest.param((), Facts(tables=True, answers={Question.TABLES: "deny"}), Reason.LIBWRAP, id="not admitted"),
        pytest.param(
            (), Facts(tables=True, answers={Question.TABLES: None}), Reason.LIBWRAP, id="a missing fact denies"
        ),
    ],
)
def test_hosts_access(flags: tuple[Flag, ...], facts: Facts, expected: Reason | Question) -> None:
    assert outcome(judge(service(flags=frozenset(flags)), facts)) is expected


@pytest.mark.parametrize(
    ("attributes", "facts", "expected"),
    [
        pytest.param({}, Facts(), Question.USER, id="asked for"),
        pytest.param({"wait": True}, Facts(), Reason.NO_OBJECTION, id="not where a server waits"),
        pytest.param({"log_on_success": frozenset()}, Facts(), Reason.NO_OBJECTION, id="only where it is logged"),
        pytest.param({}, Facts(answers={Question.USER: None}), Reason.NO_OBJECTION, id="unknown is served"),
        pytest.param(
            {"flags": frozenset({Flag.IDONLY})}, Facts(answers={Question.USER: None}), Reason.IDENT, id="IDONLY"
        ),
        pytest.param(
            {"flags": frozenset({Flag.IDONLY})}, Facts(answers={Question.USER: "x"}), Reason.NO_OBJECTION, id="known"
        ),
    ],
)
def test_ident(attributes: dict[str, Any], facts: Facts, expected: Reason | Question) -> None:
    one = service(**{"log_on_success": frozenset({OnSuccess.USERID}), **attributes})
    assert outcome(judge(one, facts)) is expected


def test_decide_knows_only_values() -> None:
    """Equal facts, equal verdicts; `Facts` can be compared and not changed."""
    assert Facts(minute=3) == Facts(3)
    with pytest.raises(AttributeError):
        Facts().minute = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("flags", "tables", "expected"),
    [
        pytest.param((), True, Reason.LIBWRAP, id="nobody to judge"),
        pytest.param((Flag.NOLIBWRAP,), True, Reason.NO_OBJECTION, id="NOLIBWRAP"),
        pytest.param((), False, Reason.NO_OBJECTION, id="no rules"),
    ],
)
def test_hosts_access_of_a_client_that_is_not_known(flags: tuple[Flag, ...], tables: bool, expected: Reason) -> None:
    waiting = service(wait=True, flags=frozenset(flags))
    assert outcome(judge(waiting, Facts(tables=tables), source=None)) is expected
