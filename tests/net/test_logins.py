"""Where the operator is logged in from: asked of true processes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sentinetd.model.address import Address
from sentinetd.net.logins import operator_source


@pytest.mark.parametrize(
    ("environment", "source"),
    [
        pytest.param({"SSH_CONNECTION": "192.0.2.1 50000 198.51.100.1 22"}, "192.0.2.1", id="SSH_CONNECTION"),
        pytest.param({"SSH_CLIENT": "2001:db8::1 50000 22"}, "2001:db8::1", id="SSH_CLIENT"),
        pytest.param({"SSH_CONNECTION": "::ffff:192.0.2.1 1 ::1 2"}, "192.0.2.1", id="mapped"),
        pytest.param({"SSH_CONNECTION": "rubbish", "SSH_CLIENT": "192.0.2.1 1 2"}, "192.0.2.1", id="rubbish in one"),
        pytest.param({"SSH_CONNECTION": ""}, None, id="empty"),
    ],
)
def test_the_environment_says(environment: dict[str, str], source: str | None) -> None:
    found = operator_source(environment, 1)
    assert (None if found is None else found.text) == source


INNER = """
import os
from sentinetd.net.logins import operator_source
found = operator_source(os.environ, os.getpid())
print(found)
"""


def nested(depth: int) -> str:
    """What the innermost of so many shells finds, when only the outermost has the variable."""
    command = [sys.executable, "-c", INNER]
    for _ in range(depth):
        command = ["env", "-u", "SSH_CONNECTION", "sh", "-c", '"$@"; exit', "sh", *command]
    outer = ["sh", "-c", '"$@"; exit', "sh", *command]
    environment = {**os.environ, "SSH_CONNECTION": "192.0.2.7 50000 198.51.100.1 22"}
    return subprocess.run(outer, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def test_a_parent_has_it_when_su_took_it_away() -> None:
    assert nested(2) == str(Address.parse("192.0.2.7"))


def test_parents_are_looked_at_so_far_and_no_further() -> None:
    assert nested(20) == "None"


def test_process_that_is_gone() -> None:
    assert operator_source({}, 2**22 + 1) is None
