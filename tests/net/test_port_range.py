"""The ports that the kernel hands out, as its files say."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentinetd.errors import EdgeError
from sentinetd.net.port_range import Ephemeral, ephemeral


def written(directory: Path, bounds: str, reserved: str) -> Ephemeral:
    (directory / "ip_local_port_range").write_text(bounds)
    (directory / "ip_local_reserved_ports").write_text(reserved)
    return ephemeral(str(directory))


def test_both_ends_belong_to_it(tmp_path: Path) -> None:
    given = written(tmp_path, "32768\t60999\n", "\n")
    assert [port in given for port in (32767, 32768, 60999, 61000)] == [False, True, True, False]


def test_reserved_ports_do_not(tmp_path: Path) -> None:
    given = written(tmp_path, "32768 60999", "37215,40000-40002\n")
    assert [port in given for port in (37214, 37215, 39999, 40003)] == [True, False, True, True]
    assert not any(port in given for port in (40000, 40001, 40002))


def test_this_host() -> None:
    assert ephemeral().low < ephemeral().high


@pytest.mark.parametrize("bounds", ["", "1", "one two"])
def test_what_cannot_be_read_is_told(tmp_path: Path, bounds: str) -> None:
    with pytest.raises(EdgeError, match="which ports the kernel hands out"):
        written(tmp_path, bounds, "")
