"""The table [bans] of sentinetd.toml."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

from sentinetd.config.host import Host
from sentinetd.config.lookup import looked_up
from sentinetd.config.toml_values import Reader, span, strings, truth, whole
from sentinetd.model.address_words import address_list
from sentinetd.model.attribute import BadValue
from sentinetd.model.noun import replace
from sentinetd.model.order import LONGEST_NOTE
from sentinetd.model.readers import nearest
from sentinetd.model.settings import BanSettings, Escalation, ListedExemption

MAXIMUM = 100_000_000
WITHIN = span(1.0)
EXEMPTION = frozenset({"network", "host", "until", "note"})


def readers(host: Host) -> dict[str, Reader]:
    """What reads which key."""
    return {
        "maximum": whole(1, MAXIMUM),
        "exempt": lambda value: looked_up("exempt", address_list(strings(value)), host),
        "exempt_own": truth,
        "exemption": lambda value: tuple(_exemption(one, host) for one in _tables(value)),
        "dry_run": truth,
        "max_bans_per_minute": whole(1, MAXIMUM),
        "prefix": _prefix,
        "escalation": _escalation,
        "jitter": _share,
        "sensors": whole(1, 100),
        "sensors_within": WITHIN,
    }


def settings(values: Mapping[str, Any]) -> BanSettings:
    """The settings that the values read by `readers` make."""
    plain = {key: value for key, value in values.items() if key not in ("prefix", "exemption")}
    return replace(BanSettings(**plain), exemptions=values.get("exemption", ()), **values.get("prefix", {}))


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise BadValue(f"{value!r} is no share of 0 to 1", "write 0.1 for up to a tenth longer")
    return float(value)


def _escalation(value: Any) -> Escalation:
    way_out = 'write { factor = 2, ceiling = "7d", forget_after = "30d" }'
    if not isinstance(value, dict) or value.keys() != {"factor", "ceiling", "forget_after"}:
        raise BadValue(f"{value!r} does not say how bans grow", way_out)
    factor = value["factor"]
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 1 <= factor <= 100:
        raise BadValue(f"{factor!r} is no factor of 1 to 100", way_out)
    ceiling = math.inf if value["ceiling"] == "forever" else WITHIN(value["ceiling"])
    return Escalation(factor=float(factor), ceiling=ceiling, forget_after=WITHIN(value["forget_after"]))


def _tables(value: Any) -> list[Any]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise BadValue("exemption is no list of tables", "write [[bans.exemption]] on a line of its own")
    return value


def _exemption(value: Mapping[str, Any], host: Host) -> ListedExemption:
    """``{ network or host, until, note }``; without *until* it stands as long as it is written."""
    for key in value.keys() - EXEMPTION:
        raise BadValue(f"unknown key {key} of an exemption", nearest(key, EXEMPTION) + "write network, until, note")
    kinds = [key for key in ("network", "host") if key in value]
    if len(kinds) != 1 or not isinstance(value[kinds[0]], str):
        raise BadValue("an exemption is of one network or one host", 'write network = "192.0.2.0/24", or host = "NAME"')
    who = looked_up("exempt", address_list([value[kinds[0]]]), host)
    if bool(who.names) is (kinds == ["network"]):
        raise BadValue(f"{value[kinds[0]]!r} is no {kinds[0]}", "write network = for numbers, host = for a name")
    note = value.get("note", "")
    if not isinstance(note, str) or len(note) > LONGEST_NOTE:
        raise BadValue(f"{note!r:.60} is no note of up to {LONGEST_NOTE} characters", "write it as a text, shorter")
    return ListedExemption(who, _until(value.get("until")), note)


def _until(value: Any) -> float:
    """Unix time of a date of TOML, the end of the day for one without a time; infinity where there is none."""
    if value is None:
        return math.inf
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, date):
        return datetime.combine(value, time.max).timestamp()
    raise BadValue(f"{value!r} is no date", "write until = 2027-01-31, or 2027-01-31T18:00:00, without quotes")


def _prefix(value: Any) -> dict[str, int]:
    way_out = "write { v4 = 32, v6 = 64 }"
    if not isinstance(value, dict) or not value.keys() <= {"v4", "v6"}:
        raise BadValue(f"{value!r} does not say how many bits a ban covers", way_out)
    bounds = {"v4": (8, 32), "v6": (16, 128)}
    return {f"prefix_{name}": whole(*bounds[name])(bits) for name, bits in value.items()}
