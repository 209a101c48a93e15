from __future__ import annotations

import subprocess
import sys

import pytest

from rig.network import run
from sentinetd.model.address import Network
from sentinetd.net.links import has_bridges
from sentinetd.net.routes import claim, disclaim


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize("text", ["198.51.100.0/24", "203.0.113.9", "2001:db8:7::/48"])
def test_a_claimed_network_is_the_hosts_own(text: str) -> None:
    network = Network.parse(text)
    family = "-4" if network.version == 4 else "-6"
    run("ip", "link", "set", "lo", "up")
    before = run("ip", family, "route", "show", "table", "local").stdout
    assert claim(network)
    assert f"local {network} dev lo" in run("ip", family, "route", "show", "table", "local").stdout
    assert not claim(network)  # it is there already
    disclaim(network)
    disclaim(network)
    assert run("ip", family, "route", "show", "table", "local").stdout == before


@pytest.mark.usefixtures("namespace")
def test_what_the_kernel_refuses_is_told() -> None:
    program = "from sentinetd.net.routes import *; claim(Network.parse('198.51.100.0/24'))"
    words = ["setpriv", "--inh-caps", "-net_admin", "--bounding-set", "-net_admin", sys.executable, "-c", program]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "NetlinkError: taking what is sent to 198.51.100.0/24: Operation not permitted" in done.stderr


@pytest.mark.usefixtures("namespace")
def test_bridges() -> None:
    assert not has_bridges()
    run("ip", "link", "add", "other", "type", "veth", "peer", "name", "east")
    assert not has_bridges()
    run("ip", "link", "add", "br7", "type", "bridge")
    assert has_bridges()
