"""Each row of the table, played against Debian's xinetd and against sentinetd, and compared side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from differential.departures import DEPARTURES
from differential.stage import SAME, Case, Stage, play
from differential.table import CASES, serving, waiting
from rig.daemon import Daemon, Kind
from rig.network import Lab


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
def test_case(
    case: Case, lab: Lab, probe: Path, make_daemon: Callable[..., Daemon], request: pytest.FixtureRequest
) -> None:
    kinds = [Kind.XINETD] if request.config.getoption("--oracle-only") else list(Kind)
    seen: dict[Kind, list[Any]] = {}
    for kind in kinds:
        daemon = make_daemon(kind, "")
        stage = Stage(daemon, lab, case, probe)
        daemon.config.write_text(stage.fill(case.config))
        seen[kind] = play(stage)
        daemon.close()
        lab.host.sweep()
        if case.expect is not SAME:
            assert seen[kind] == case.expected(kind), f"{kind.value} {DEPARTURES.get(case.departure, '')}"
    if not case.differs:
        assert len({repr(outcome) for outcome in seen.values()}) == 1, seen


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in (*serving.CASES, *waiting.CASES)])
def test_the_fallback_without_a_compiler_serves_the_same(
    case: Case, lab: Lab, probe: Path, make_daemon: Callable[..., Daemon]
) -> None:
    """What has to do with starting servers, once more on the spawner written in Python."""
    daemon = make_daemon(Kind.SENTINETD, "")
    stage = Stage(daemon, lab, replace(case, options=(*case.options, "--spawner", "python")), probe)
    daemon.config.write_text(stage.fill(case.config))
    seen = play(stage)
    assert "Python" in daemon.find("started with")[0].text
    if case.expect is not SAME:
        assert seen == case.expected(Kind.SENTINETD)


def test_departures_are_named() -> None:
    """A case differs if and only if it names a departure that is written down, and each of those has its case."""
    for case in CASES:
        assert bool(case.departure) == case.differs, case.id
    assert {case.departure for case in CASES if case.departure} == DEPARTURES.keys()


def test_ids_are_spoken_once() -> None:
    ids = [case.id for case in CASES]
    assert sorted(set(ids)) == sorted(ids)
