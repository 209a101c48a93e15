"""What of a service the spawner is taught, and what its answers are called."""

from __future__ import annotations

import resource

import pytest

from config.machine import entry, loaded
from sentinetd.daemon.launcher import PARTS, STEPS
from sentinetd.daemon.recipes import recipe_of
from sentinetd.spawn.protocol import Part, Step

SELINUX: dict[str, bytes | None] = {"/sys/fs/selinux/mls": b"1", "/proc/self/attr/current": b"u:r:t:s0\0"}


@pytest.mark.parametrize(("flags", "labeled"), [("LABELED", True), ("NORETRY", False)])
def test_a_labeled_service_has_a_labeled_recipe(flags: str, labeled: bool) -> None:
    (service,) = loaded(entry("ftp", f"flags = {flags}"), SELINUX).services
    assert recipe_of(service, 64).labeled is labeled


def test_every_step_and_part_has_a_name() -> None:
    assert (set(STEPS), set(PARTS)) == (set(Step), set(Part))


@pytest.mark.parametrize(
    ("words", "limit"),
    [
        pytest.param("4194304", 4_194_304, id="bytes"),
        pytest.param("UNLIMITED", -1, id="none"),
        pytest.param("9223372036854775807", -1, id="the most that xinetd can read"),
        pytest.param("4611686018427387904", 1 << 62, id="half of it"),
    ],
)
def test_a_limit_that_nobody_reaches_is_none(words: str, limit: int) -> None:
    (service,) = loaded(entry("ftp", f"rlimit_as = {words}")).services
    recipe = recipe_of(service, 64)
    recipe.encode()
    assert dict(recipe.limits)[resource.RLIMIT_AS] == limit
