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
    made = Namespace(f"net{secrets.token_hex(4)}")
    try:
        with made.entered():
            run("ip", "link", "set", "lo", "up")
            yield made
    finally:
        made.close()


@pytest.fixture
def link(namespace: Namespace) -> str:
    """An interface in the test's namespace, up, fit for multicast; with 198.51.100.7/24 and fe80::7."""
    run("ip", "link", "add", "east", "type", "veth", "peer", "name", "west")
    for name in ("east", "west"):
        run("ip", "link", "set", name, "up")
    run("ip", "address", "add", "198.51.100.7/24", "dev", "east")
    run("ip", "address", "add", "fe80::7/64", "dev", "east", "nodad")
    return "east"
