"""Somebody on another host who looks for services by mDNS, with the library's own browser."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

from rig.network import Namespace

_BROWSE = """\
import json, sys
from zeroconf import ServiceBrowser, ServiceStateChange, Zeroconf

def changed(zeroconf, service_type, name, state_change):
    row = {"change": state_change.name, "name": name.removesuffix("." + service_type), "kind": service_type}
    if state_change is not ServiceStateChange.Removed:
        info = zeroconf.get_service_info(service_type, name, 5000)
        row |= {"port": info.port, "addresses": sorted(info.parsed_addresses())}
    print(json.dumps(row), flush=True)

zeroconf = Zeroconf()
ServiceBrowser(zeroconf, sys.argv[1:], handlers=[changed])
sys.stdin.read()
zeroconf.close()
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What changed: *change* is Added, Updated or Removed."""

    change: str
    name: str
    kind: str
    port: int = 0
    addresses: tuple[str, ...] = ()


class Browser:
    """Looks for services of *kinds* from *namespace* until it is closed."""

    def __init__(self, namespace: Namespace, *kinds: str) -> None:
        self._process = subprocess.Popen(
            namespace.command(sys.executable, "-c", _BROWSE, *(f"{kind}.local." for kind in kinds)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def next(self) -> Seen:
        """The next change; waits for it."""
        assert self._process.stdout is not None
        row = json.loads(self._process.stdout.readline())
        return Seen(
            **{**row, "kind": row["kind"].removesuffix(".local."), "addresses": tuple(row.get("addresses", ()))}
        )

    def close(self) -> None:
        """Look no more."""
        self._process.communicate(timeout=10)
