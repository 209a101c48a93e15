"""What is off unless set: several sensors for a ban, jitter, longer bans for who comes back, sessions that end."""

from __future__ import annotations

import math

import pytest

from policy.player import WALL, Player, addresses, events, kinds, reasons, sensor, service
from policy.test_bans import imposed
from policy.test_orders import ban
from sentinetd.model.address import Address, Network
from sentinetd.model.ban import ESCALATION, LongerBan, Origin
from sentinetd.model.events import BanImposed, BanLengthened, Notice, SensorTripped, ServerSignalled
from sentinetd.model.service import Redirect
from sentinetd.model.settings import BanSettings, ListedExemption, Settings
from sentinetd.model.verdict import Reason
from sentinetd.policy import touches
from sentinetd.policy.effects import Exempted, HangUp, Impose, Signal
from sentinetd.policy.engine import Engine
from sentinetd.policy.inputs import Begun, Escalated, Found, LoggedIn, Moved, Reloaded, Surroundings
from sentinetd.policy.touches import Touches

SOURCE = "192.0.2.1"
HOST = Network.parse(SOURCE)


def three(**attributes: object) -> list[object]:
    return [sensor(60.0, id=f"trap-{number}", **attributes) for number in range(3)]


def test_a_ban_may_take_several_sensors() -> None:
    player = Player(*three(), service(), sensors=2, sensors_within=600.0)  # type: ignore[arg-type]
    trips = events(player.arrive(SOURCE, 1), SensorTripped)
    assert [trip.why_not for trip in trips] == ["1 of 2 sensors touched"]
    assert imposed(player.arrive(SOURCE, 1)) == [], "the same one again"
    assert kinds(player.arrive(SOURCE, 4)) == ["Serve"]
    assert imposed(player.arrive(SOURCE, 2)) == [SOURCE]
    player.now += 1.0
    assert imposed(player.arrive(SOURCE, 1)) == [SOURCE], "who is banned is banned for longer by any"
    player.later(61.0)
    assert imposed(player.arrive(SOURCE, 1)) == [], "a new ban takes two again"


def test_touches_long_ago_do_not_count() -> None:
    player = Player(*three(), sensors=2, sensors_within=600.0)  # type: ignore[arg-type]
    player.arrive(SOURCE, 1)
    player.later(601.0)
    assert imposed(player.arrive(SOURCE, 2)) == []
    player.later(600.0)
    assert imposed(player.arrive(SOURCE, 1)) == [SOURCE]


def test_sources_of_one_banned_prefix_count_together() -> None:
    player = Player(*three(), sensors=2)  # type: ignore[arg-type]
    player.arrive("2001:db8::1", 1)
    assert imposed(player.arrive("2001:db8::2", 2)) == ["2001:db8::/64"]


def test_what_is_remembered_of_touches_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(touches, "MOST", 3)
    made = Touches()
    for number in range(10):
        assert made.count(Network(4, number, 32), "a", 0.0, 60.0, 2) == 1
    assert len(made) == 3
    assert made.count(Network(4, 9, 32), "b", 1.0, 60.0, 2) == 2
    assert len(made) == 2, "who was banned is forgotten"
    assert made.count(Network(4, 0, 32), "b", 1.0, 60.0, 2) == 1, "the first ones are forgotten"


def test_jitter_makes_a_ban_longer_by_chance_and_never_shorter() -> None:
    settings = Settings(bans=BanSettings(jitter=0.5))
    rolls = iter([0.0, 0.5, 1.0])
    player = Player()
    player.engine = Engine(settings, dice=lambda: next(rolls))
    player.give(Reloaded(settings, start={1: sensor(100.0)}))
    spans = []
    for number in range(3):
        effects = player.arrive(f"192.0.2.{number}")
        [event], [trip] = events(effects, BanImposed), events(effects, SensorTripped)
        assert event.until - player.now - WALL == pytest.approx(trip.ban_span)
        spans.append(trip.ban_span)
    assert spans == [100.0, 125.0, 150.0]


def test_for_ever_has_no_jitter() -> None:
    player = Player(sensor(math.inf), jitter=1.0)
    assert events(player.arrive(), BanImposed)[0].until == math.inf


def escalated(player: Player, left: float, offence: int = 2) -> list[object]:
    longer = LongerBan(HOST, player.now + WALL + left, "trap", offence)
    return list(player.give(Escalated((longer,))))


def test_a_ban_of_who_came_back_is_lengthened_and_told() -> None:
    player = Player(sensor(60.0), service())
    player.arrive()
    player.now += 1.0
    effects = escalated(player, 120.0)
    assert effects[0] == Impose(HOST, player.now + 120)
    [event] = events(effects, BanLengthened)  # type: ignore[arg-type]
    assert (event.until, event.sensor, event.who, event.note) == (
        player.now + WALL + 120, "trap", ESCALATION, "offence 2",
    )  # fmt: skip
    player.later(119.9)
    assert reasons(player.arrive(number=2)) == [Reason.BANNED]
    player.later(0.1)
    assert kinds(player.arrive(number=2)) == ["Serve"]


@pytest.mark.parametrize(
    "lifted",
    [pytest.param(True, id="lifted meanwhile"), pytest.param(False, id="not longer than what stands")],
)
def test_what_does_not_stand_or_would_be_shorter_is_left_alone(lifted: bool) -> None:
    player = Player(sensor(60.0))
    player.arrive()
    if lifted:
        player.engine.bans.ledger.lift(HOST)
    assert escalated(player, 120.0 if lifted else 50.0) == []


def test_a_dry_run_lengthens_nothing_in_the_kernel() -> None:
    player = Player(sensor(60.0))
    player.arrive()
    player.give(Reloaded(Settings(bans=BanSettings(dry_run=True))))
    assert "Impose" not in kinds(escalated(player, 120.0))  # type: ignore[arg-type]


ENDING = {"end_sessions": True}
ELSEWHERE = Redirect("198.51.100.1", 80)


def test_sessions_end_with_the_ban_of_their_source_where_the_service_says_so() -> None:
    player = Player(sensor(60.0), service("mild"), service("strict", **ENDING))
    mild, strict = player.serve(SOURCE, 2), player.serve(SOURCE, 3)
    other = player.serve("192.0.2.2", 3)
    effects = player.arrive(SOURCE, 1)
    assert [one.pid for one in effects if isinstance(one, Signal)] == [strict]
    assert [event.pid for event in events(effects, ServerSignalled)] == [strict]
    assert [one for one in player.arrive(SOURCE, 1) if isinstance(one, Signal)] == [], "once"
    player.end(strict, 1)
    assert kinds(player.later(10.0)) == [], "who has ended is not killed"
    player.end(mild)
    player.end(other)


def test_a_server_that_does_not_end_is_killed() -> None:
    player = Player(sensor(60.0), service("strict", **ENDING))
    pid = player.serve(SOURCE, 2)
    player.arrive(SOURCE, 1)
    assert [(one.pid, one.signal) for one in player.later(5.0) if isinstance(one, Signal)] == [(pid, 9)]


def test_any_ban_ends_them_but_of_an_exempt_source() -> None:
    player = Player(service("strict", **ENDING), exempt=addresses("192.0.2.2"))
    banned, exempt = player.serve("192.0.2.1"), player.serve("192.0.2.2")
    six = player.serve("2001:db8::7")
    assert [one.pid for one in ban(player, "192.0.2.0/24")[0] if isinstance(one, Signal)] == [banned]
    assert [one.pid for one in ban(player, "2001:db8::/32", origin=Origin.FEED)[0] if isinstance(one, Signal)] == [six]
    player.end(exempt)


def test_what_the_porter_carries_is_hung_up_on() -> None:
    player = Player(sensor(60.0), service("relay", redirect=ELSEWHERE, **ENDING))
    player.arrive(SOURCE, 2)
    number = player.connections
    player.give(Begun(number, 50))
    assert HangUp(number) in player.arrive(SOURCE, 1)


def test_whoever_is_banned_while_his_server_is_made_loses_it_too() -> None:
    player = Player(sensor(60.0), service("mild"), service("strict", **ENDING), service("relay", redirect=ELSEWHERE))
    player.adjust(4, **ENDING)
    for number in (2, 3, 4):
        player.arrive(SOURCE, number)
    assert "Signal" not in kinds(player.arrive(SOURCE, 1)), "nobody knows yet whom to signal"
    assert "Signal" not in kinds(player.launch(1))
    assert [one.pid for one in player.launch(2) if isinstance(one, Signal)] == [player.pids]
    assert HangUp(3) in player.give(Begun(3, 50))


def test_a_reload_changes_what_ends() -> None:
    player = Player(sensor(60.0), service("one"), service("two", **ENDING))
    one, two = player.serve(SOURCE, 2), player.serve(SOURCE, 3)
    player.adjust(2, end_sessions=True)
    player.adjust(3, end_sessions=False)
    assert [effect.pid for effect in player.arrive(SOURCE, 1) if isinstance(effect, Signal)] == [one]
    player.end(two)


def listed(*words: str, until: float = math.inf, note: str = "") -> ListedExemption:
    return ListedExemption(addresses(*words), until, note)


def test_a_listed_exemption_ends_at_its_date_and_that_is_told() -> None:
    player = Player(sensor(60.0))
    wall = player.now + WALL
    settings = Settings(
        bans=BanSettings(
            exemptions=(listed("192.0.2.0/24", until=wall + 600, note="audit"), listed("198.51.100.1", until=wall - 1))
        )
    )
    assert player.give(Reloaded(settings)) == [Exempted()]
    assert imposed(player.arrive(SOURCE)) == []
    assert imposed(player.arrive("198.51.100.1")) == ["198.51.100.1"], "its date is over already"
    effects = player.later(600.0)
    text = "the exemption of 192.0.2.0/24 (audit) in the settings has ended"
    assert [event.text for event in events(effects, Notice)] == [text]
    assert Exempted() in effects
    assert imposed(player.arrive(SOURCE)) == [SOURCE]


def test_a_host_name_exempts_what_it_stands_for_last() -> None:
    player = Player(sensor(), service(), exempt=addresses("scanner.example"))
    assert player.engine.bans.exemptions.names() == {"scanner.example"}
    assert imposed(player.arrive(SOURCE)) == [SOURCE], "nobody knows yet"
    found = (Address.parse(SOURCE), Address.parse("2001:db8::1"))
    assert player.give(Found("scanner.example", found)) == [Exempted()]
    assert player.give(Found("scanner.example", found)) == []
    assert kinds(player.arrive(SOURCE, 2)) == ["Serve"]
    assert imposed(player.arrive("2001:db8::1")) == []
    assert player.give(Found("scanner.example", found[:1])) == [Exempted()]
    assert imposed(player.arrive("2001:db8::2")) == ["2001:db8::/64"]
    assert player.give(Found("other.example", found)) == [], "nobody exempts that one"


def test_a_host_name_of_a_sensor_exempts_there_only() -> None:
    player = Player(sensor(exempt=addresses("scanner.example")), sensor(id="other"))
    player.give(Found("scanner.example", (Address.parse(SOURCE),)))
    assert imposed(player.arrive(SOURCE, 1)) == []
    assert imposed(player.arrive(SOURCE, 2)) == [SOURCE]


def test_where_the_operator_is_logged_in_from_is_never_banned_and_that_is_told() -> None:
    player = Player(sensor())
    effects = player.give(LoggedIn(Address.parse(SOURCE)))
    assert kinds(effects) == ["Exempted", "Notice"]
    assert events(effects, Notice)[0].text == (
        f"{SOURCE} is exempt from all bans: an operator is logged in from there (exempt_own)"
    )
    assert player.give(LoggedIn(Address.parse(SOURCE))) == [], "once"
    assert imposed(player.arrive(SOURCE)) == []
    player.give(Moved(Surroundings()))
    assert imposed(player.arrive(SOURCE)) == []


def test_unless_own_addresses_are_not_exempt() -> None:
    player = Player(sensor(), exempt_own=False)
    assert player.give(LoggedIn(Address.parse(SOURCE))) == []
    assert imposed(player.arrive(SOURCE)) == [SOURCE]


def test_sessions_that_are_remembered_have_a_bound() -> None:
    player = Player(sensor())
    for number in range(20):
        player.give(LoggedIn(Address.parse(f"192.0.2.{number}")))
    assert [bool(imposed(player.arrive(f"192.0.2.{number}"))) for number in (0, 3, 4, 19)] == [True, True, False, False]
