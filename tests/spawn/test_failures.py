"""What cannot be done is told with step and errno, and costs nobody else anything."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import sentinetd
from sentinetd.spawn.protocol import SETUP_STATUS, Launched, LaunchFailed, Step
from sentinetd.spawn.recipe import Recipe
from sentinetd.spawn.spawner import Backend
from spawn.guard import ECHO, TRUE, Guard

STORIES = Path(__file__).with_name("unprivileged.py")


def told(step: Step, error: int, detail: int = 0) -> str:
    return f"SetupFailed {step} {error} {detail}"


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    ("story", "lines"),
    [
        pytest.param("fork", ["Launched", f"LaunchFailed {errno.EAGAIN}", "Launched"], id="fork"),
        pytest.param("ambient", ["CapAmb 0000000000000000"], id="no capability is handed on"),
        pytest.param("setuid", [told(Step.SETUID, errno.EPERM), f"exit {SETUP_STATUS}"], id="setuid"),
        pytest.param("setgid", [told(Step.SETGID, errno.EPERM), f"exit {SETUP_STATUS}"], id="setgid"),
        pytest.param("setgroups", [told(Step.SETGROUPS, errno.EPERM), f"exit {SETUP_STATUS}"], id="setgroups"),
        pytest.param(
            "borne",
            [told(Step.LIMIT, errno.EPERM, resource.RLIMIT_NOFILE), told(Step.NICE, errno.EPERM), "exit 0"],
            id="limits and nice are borne",
        ),
        pytest.param(
            "before",
            [
                told(Step.LIMIT, errno.EPERM, resource.RLIMIT_NOFILE),
                told(Step.NICE, errno.EPERM),
                told(Step.SETUID, errno.EPERM),
                f"exit {SETUP_STATUS}",
            ],
            id="limits and nice come before the change of user",
        ),
    ],
)
def test_without_rights(backend: Backend, story: str, lines: list[str]) -> None:
    paths = [str(STORIES.parents[1]), str(Path(sentinetd.__file__).parents[1])]
    run = subprocess.run(
        [sys.executable, str(STORIES), backend.name, story],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    heard = [line.strip() for line in run.stdout.splitlines()]
    assert [line for line in heard if story == "fork" or line != "Launched"] == lines


@pytest.mark.parametrize(
    "number", [pytest.param(2, id="never taught"), pytest.param(1, id="forgotten"), pytest.param(2**32 - 1, id="last")]
)
def test_unknown_recipe(guard: Guard, number: int) -> None:
    guard.spawner.teach(1, TRUE)
    guard.spawner.forget(1)
    guard.launch(5, number)
    guard.heard(1)
    assert guard.replies == [LaunchFailed(5, errno.ENOENT)]


def test_no_descriptor_free_in_the_spawner(guard: Guard) -> None:
    guard.spawner.teach(1, TRUE)
    for order, bound in enumerate([100, 4, 100]):
        resource.prlimit(guard.spawner.pid, resource.RLIMIT_NOFILE, (bound, 100))
        guard.launch(order)
        guard.heard(order + 1)
    assert [type(reply) for reply in guard.replies] == [Launched, LaunchFailed, Launched]
    assert guard.replies[1] == LaunchFailed(1, errno.EMFILE)
    assert guard.returned == {1: -1}


def test_what_failed_gives_its_descriptor_back(guard: Guard) -> None:
    """Whoever ordered it may have let go of it, and can order again."""
    guard.spawner.teach(1, ECHO)
    connection = guard.launch(5, 2)
    guard.heard(1)
    guard.spawner.launch(6, 1, guard.returned[5], "")
    guard.drop(5)
    connection.sendall(b"?")
    assert connection.recv(1) == b"?"
    guard.pid(6)
    assert not guard.spawner.awaited


def test_a_recipe_taught_again(guard: Guard) -> None:
    """The new one holds from there on; its neighbours stay what they are."""
    for number in (7, 3, 2**32 - 1, 0, 5):
        guard.spawner.teach(number, Recipe("/bin/sh", ("sh", "-c", f"exit {number % 100}")))
    guard.spawner.teach(3, Recipe("/bin/sh", ("sh", "-c", "exit 33")))
    guard.spawner.forget(5)
    numbers = (0, 3, 7, 2**32 - 1, 5)
    for order, number in enumerate(numbers):
        guard.launch(order, number)
    assert [guard.exit(order) for order in range(4)] == [0, 33, 7, 95]
    guard.until(lambda: LaunchFailed(4, errno.ENOENT) in guard.replies, "the forgotten one's answer")


def test_many_recipes(guard: Guard) -> None:
    """As many as a large configuration has, taught in one go and in an odd order."""
    numbers = [number * 7919 % 10_007 for number in range(10_007)]
    for number in numbers:
        guard.spawner.teach(number, Recipe("/bin/sh", ("sh", "-c", f"exit {number % 100}")))
    for number in numbers[::2]:
        guard.spawner.forget(number)
    guard.until(lambda: not guard.spawner.wants_write, "all taught")
    for number in (numbers[1], numbers[5001], numbers[-2]):
        guard.launch(number, number)
        assert guard.exit(number) == number % 100
    guard.launch(1 << 63, numbers[2])
    guard.until(lambda: LaunchFailed(1 << 63, errno.ENOENT) in guard.replies, "the forgotten one's answer")
