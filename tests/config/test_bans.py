"""The table [bans]: what its newer keys mean, and what is wrong with them."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from config.test_toml import read
from sentinetd.model.address import AddressSet, Network
from sentinetd.model.settings import BanSettings, CourierSettings, Escalation, ListedExemption, Settings

RULE = Escalation(factor=2.0, ceiling=604_800.0, forget_after=2_592_000.0)
WHEN = datetime(2027, 1, 31, 18, tzinfo=UTC).timestamp()
DAY = datetime(2027, 1, 31, 23, 59, 59, 999_999).timestamp()


def listed(*networks: str, names: tuple[str, ...] = (), until: float = math.inf, note: str = "") -> dict[str, Any]:
    return {
        "exemptions": (ListedExemption(AddressSet(tuple(map(Network.parse, networks)), names), until, note),)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        pytest.param("jitter = 0.1", {"jitter": 0.1}, id="jitter"),
        pytest.param("sensors = 2", {"sensors": 2}, id="sensors"),
        pytest.param('sensors_within = "1d"', {"sensors_within": 86_400.0}, id="sensors_within"),
        pytest.param("sensors_within = 90", {"sensors_within": 90.0}, id="seconds"),
        pytest.param('exempt = ["a.example"]', {"exempt": AddressSet((), ("a.example",))}, id="host names stay names"),
        pytest.param('[[bans.exemption]]\nnetwork = "192.0.2.0/24"', listed("192.0.2.0/24"), id="exemption"),
        pytest.param(
            '[[bans.exemption]]\nhost = "Scanner.example"\nuntil = 2027-01-31T18:00:00Z\nnote = "audit"',
            listed(names=("scanner.example",), until=WHEN, note="audit"),
            id="exemption of a host, with an end and a note",
        ),
        pytest.param(
            '[[bans.exemption]]\nnetwork = "::1"\nuntil = 2027-01-31', listed("::1", until=DAY), id="the whole day"
        ),
    ],
)
def test_read(text: str, settings: dict[str, Any]) -> None:
    found, told = read(f"[bans]\n{text}")
    assert (found.bans, told) == (BanSettings(**settings), [])


def test_escalation_is_for_the_courier_too() -> None:
    text = '[bans]\nescalation = { factor = 2, ceiling = "7d", forget_after = "30d" }'
    assert read(text) == (Settings(bans=BanSettings(escalation=RULE), courier=CourierSettings(escalation=RULE)), [])
    [found, _] = read(text.replace('"7d"', '"forever"'))
    assert found.bans.escalation is not None
    assert found.bans.escalation.ceiling == math.inf


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        pytest.param("jitter = 2", "bans.jitter: 2 is no share of 0 to 1", id="jitter"),
        pytest.param("jitter = true", "bans.jitter: True is no share of 0 to 1", id="jitter as a truth"),
        pytest.param("sensors = 0", "bans.sensors: 0 is not a whole number of 1 to 100", id="sensors"),
        pytest.param(
            'sensors_within = "1 fortnight"',
            "bans.sensors_within: '1 fortnight' is no span of 1 to",
            id="span",
        ),
        pytest.param("escalation = 2", "bans.escalation: 2 does not say how bans grow", id="escalation"),
        pytest.param(
            'escalation = { factor = 0.5, ceiling = "7d", forget_after = "30d" }',
            "bans.escalation: 0.5 is no factor of 1 to 100",
            id="factor",
        ),
        pytest.param(
            'escalation = { factor = 2, ceiling = "7d" }', "does not say how bans grow", id="without forget_after"
        ),
        pytest.param("exemption = 1", "bans.exemption: exemption is no list of tables", id="no tables"),
        pytest.param(
            '[[bans.exemption]]\nnetwork = "192.0.2.1"\nhost = "a"', "an exemption is of one network or one host",
            id="both",
        ),
        pytest.param('[[bans.exemption]]\nnote = "x"', "an exemption is of one network or one host", id="neither"),
        pytest.param('[[bans.exemption]]\nnetwork = "a.example"', "'a.example' is no network", id="name as network"),
        pytest.param('[[bans.exemption]]\nhost = "192.0.2.1"', "'192.0.2.1' is no host", id="number as host"),
        pytest.param('[[bans.exemption]]\nhost = ".example"', ".example is a domain", id="domain"),
        pytest.param(
            '[[bans.exemption]]\nnetwork = "::1"\nuntil = "tomorrow"', "'tomorrow' is no date", id="no date"
        ),
        pytest.param(
            '[[bans.exemption]]\nnetwork = "::1"\nuntill = 1', "unknown key untill of an exemption", id="unknown key"
        ),
        pytest.param('[[bans.exemption]]\nnetwork = "::1"\nnote = 1', "is no note", id="no text"),
    ],
)  # fmt: skip
def test_mistakes(text: str, mistake: str) -> None:
    [told] = read(f"[bans]\n{text}")[1]
    assert told.startswith("file: s.toml:")
    assert mistake in told
