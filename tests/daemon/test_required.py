"""A store that is required: without it there is no start, and what is there is left for the operator to look at."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BROKEN = b"no database at all " * 400


def test_a_damaged_store_that_is_required_keeps_the_daemon_from_starting_and_stays_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "x.conf").write_text("defaults\n{\n}\n")
    (tmp_path / "sentinetd.toml").write_text("[store]\nrequired = true\n")
    (tmp_path / "sentinetd.toml").chmod(0o600)
    state = tmp_path / "state"
    state.mkdir()
    (state / "bans.sqlite").write_bytes(BROKEN)
    (state / "bans.sqlite").chmod(0o666)  # damaged, and nothing else wrong with it for the courier's own user
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(0o755)  # the courier has to reach it as its own user
    words = ["-dontfork", "-f", "x.conf", "-filelog", "log", "--state", "state"]
    ended = subprocess.run(
        [sys.executable, "-m", "sentinetd.daemon.main", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "the store is required and cannot be used" in ended.stderr
    assert (state / "bans.sqlite").read_bytes() == BROKEN
