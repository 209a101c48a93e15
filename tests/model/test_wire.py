"""Our nouns as JSON values and back; what is not of that form is refused."""

from __future__ import annotations

import json
import math
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinetd.errors import MessageError
from sentinetd.model.address import BITS, Address, Network
from sentinetd.model.alert import Alert, SyslogTarget, Tls, Transport
from sentinetd.model.ban import Ban, Origin
from sentinetd.model.connection import Connection
from sentinetd.model.events import EVENTS, BanImposed, Event, SensorTripped
from sentinetd.model.noun import dataclass, fields
from sentinetd.model.settings import CourierSettings
from sentinetd.model.wire import LARGEST, LONGEST_LIST, LONGEST_TEXT, pack, unpack

ADDRESSES = st.one_of(st.ip_addresses().map(str), st.just("fe80::1%eth0")).map(Address.parse)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    address = draw(ADDRESSES)
    return Network.of(address, draw(st.integers(0, BITS[address.version])))


st.register_type_strategy(Address, ADDRESSES)
st.register_type_strategy(Network, networks())
st.register_type_strategy(int, st.integers(-(2**63) + 1, 2**63 - 1))
st.register_type_strategy(float, st.one_of(st.just(math.inf), st.floats(-1e15, 1e15)))


def any_of(noun: type[Any]) -> st.SearchStrategy[Any]:
    """Any instance of *noun*."""
    hints = get_type_hints(noun)
    return st.builds(noun, **{one.name: st.from_type(hints[one.name]) for one in fields(noun)})


@given(st.sampled_from(EVENTS).flatmap(any_of))
def test_an_event_is_read_back(event: Event) -> None:
    crossed = json.loads(json.dumps(pack(event)))
    assert unpack(type(event), crossed) == event


@dataclass(frozen=True)
class Sheet:
    """Every kind of field."""

    count: int = 1
    text: str = "a"
    sure: bool = True
    seconds: float = 1.5
    source: Address | None = None
    bans: tuple[Ban, ...] = ()
    words: tuple[str, ...] = ()
    origin: Origin = Origin.SENSOR
    said: bytes = b"GET"


BAN = Ban(Network.parse("192.0.2.0/24"), 1.0, math.inf, "trap", Origin.FLEET)
PACKED: list[Any] = [1, "a", True, 1.5, None, [], [], "sensor", "R0VU"]


@given(st.builds(Sheet, bans=st.lists(any_of(Ban), max_size=3).map(tuple)))
def test_every_kind_of_field_is_read_back(sheet: Sheet) -> None:
    assert unpack(Sheet, json.loads(json.dumps(pack(sheet)))) == sheet


def test_what_it_looks_like() -> None:
    sheet = Sheet(source=Address.parse("::ffff:192.0.2.1"), bans=(BAN,), words=("x",), seconds=math.inf)
    assert pack(sheet) == [
        1, "a", True, "inf", "192.0.2.1", [["192.0.2.0/24", 1.0, "inf", "trap", "fleet", "", ""]], ["x"], "sensor",
        "R0VU",
    ]  # fmt: skip
    assert pack(Sheet()) == PACKED
    assert unpack(Sheet, PACKED) == Sheet()


@pytest.mark.parametrize(
    ("place", "value"),
    [
        pytest.param(0, "1", id="text for a number"),
        pytest.param(0, True, id="a truth for a number"),
        pytest.param(0, 1.0, id="a fraction for a number"),
        pytest.param(0, LARGEST, id="too large"),
        pytest.param(0, -LARGEST, id="too small"),
        pytest.param(0, None, id="nothing for a number"),
        pytest.param(1, 7, id="a number for text"),
        pytest.param(1, "x" * (LONGEST_TEXT + 1), id="too long a text"),
        pytest.param(2, 1, id="a number for a truth"),
        pytest.param(3, "1.5", id="text for seconds"),
        pytest.param(3, math.nan, id="not a number"),
        pytest.param(3, math.inf, id="infinity that is not spelled so"),
        pytest.param(3, -math.inf, id="infinity below"),
        pytest.param(3, 1e300, id="too many seconds"),
        pytest.param(3, True, id="a truth for seconds"),
        pytest.param(4, "192.0.2.256", id="no address"),
        pytest.param(4, "host.example", id="a name for an address"),
        pytest.param(4, 3221225985, id="a number for an address"),
        pytest.param(5, {}, id="an object for a list"),
        pytest.param(5, [[]], id="too few fields within"),
        pytest.param(5, [["192.0.2.0/33", 1.0, 2.0, "", "sensor"]], id="no network"),
        pytest.param(5, [["192.0.2.0/24", 1.0, 2.0, "", "sensor", 0]], id="too many fields within"),
        pytest.param(5, "x", id="text for a list"),
        pytest.param(6, ["x", 1], id="a number among texts"),
        pytest.param(6, [""] * (LONGEST_LIST + 1), id="too long a list"),
        pytest.param(7, "nobody", id="no such name"),
        pytest.param(7, 1, id="a number for a name"),
        pytest.param(8, "R0V", id="bytes cut off"),
        pytest.param(8, "R0VU\n", id="bytes and more"),
        pytest.param(8, [71], id="a list for bytes"),
    ],
)
def test_what_is_refused(place: int, value: Any) -> None:
    packed = list(PACKED)
    packed[place] = value
    with pytest.raises(MessageError):
        unpack(Sheet, packed)


@pytest.mark.parametrize(
    "packed", [pytest.param(PACKED[:-1], id="too short"), pytest.param([*PACKED, 1], id="too long"),
               pytest.param({}, id="an object"), pytest.param(None, id="nothing"), pytest.param("x", id="text")],
)  # fmt: skip
def test_what_is_no_sheet(packed: Any) -> None:
    with pytest.raises(MessageError):
        unpack(Sheet, packed)


def test_what_is_just_allowed() -> None:
    packed = list(PACKED)
    packed[0], packed[1], packed[3], packed[6] = LARGEST - 1, "x" * LONGEST_TEXT, 7, [""] * LONGEST_LIST
    sheet = unpack(Sheet, packed)
    assert (sheet.count, len(sheet.text), len(sheet.words)) == (LARGEST - 1, LONGEST_TEXT, LONGEST_LIST)
    assert type(sheet.seconds) is float


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(
    st.sampled_from([Sheet, Ban, Connection, SensorTripped, BanImposed]), JSON | st.lists(JSON, min_size=4, max_size=9)
)
def test_whatever_comes_is_read_or_refused(kind: type[Any], packed: Any) -> None:
    try:
        assert isinstance(unpack(kind, packed), kind)
    except MessageError:
        return


@dataclass(frozen=True)
class Pair:
    both: tuple[int, int]


@dataclass(frozen=True)
class Either:
    one: int | str | None


@dataclass(frozen=True)
class Bag:
    things: frozenset[int]


@pytest.mark.parametrize("value", [Pair((1, 2)), Either(1), Bag(frozenset())], ids=lambda value: type(value).__name__)
def test_what_has_no_form_is_found_out_by_whoever_writes_it(value: Any) -> None:
    with pytest.raises(TypeError):
        pack(value)
    with pytest.raises(TypeError):
        unpack(type(value), [[1, 2]])


def test_a_message_without_fields() -> None:
    @dataclass(frozen=True)
    class Empty:
        pass

    assert pack(Empty()) == []
    assert unpack(Empty, []) == Empty()


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A form whose fields have names only."""

    one: int
    two: str = ""


def test_fields_that_are_given_by_name_cross_too() -> None:
    value = Named(one=3, two="x")
    assert unpack(Named, json.loads(json.dumps(pack(value)))) == value


def test_an_alert_crosses() -> None:
    alert = Alert(
        name="x",
        kinds=("sensor.*",),
        syslog=SyslogTarget(transport=Transport.TLS, host="h", port=1, tls=Tls(ca=3)),
    )
    settings = CourierSettings(alerts=(alert,))
    assert unpack(CourierSettings, json.loads(json.dumps(pack(settings)))) == settings
