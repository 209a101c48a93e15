"""Network namespaces for the tests of this room, which run inside them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest

from rig.network import Namespace, run


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """The test itself runs in a network namespace that nobody else sees, with loopback up."""
    if os.geteuid() != 0:
        pytest.skip("a network namespace of one's own takes root")
    made = Namespace(f"fw{secrets.token_hex(4)}")
    try:
        with made.entered():
            run("ip", "link", "set", "lo", "up")
            yield made
    finally:
        made.close()
