"""More events than sinks can take: those that work get all, the others are counted, nobody waits."""

from __future__ import annotations

from pathlib import Path

from soak.flood import flood


def test_a_flood_with_one_sink_that_hangs_and_one_that_refuses(tmp_path: Path) -> None:
    outcome = flood(tmp_path, rate=1e9, count=20_000)
    assert (outcome.file, outcome.syslog) == (20_000, 20_000)
    assert outcome.lost == {"hangs": 20_000, "refuses": 20_000, "file": 0, "takes": 0}
