"""What kinds of interfaces this network namespace has, as rtnetlink(7) tells."""

from __future__ import annotations

from sentinetd.net.netlink import attributes, dump

NETLINK_ROUTE = 0
RTM_GETLINK = 18
IFINFOMSG = 16  # bytes: family, type, index, flags, change
IFLA_LINKINFO, IFLA_INFO_KIND = 18, 1


def has_bridges() -> bool:
    """Whether there is a bridge. `NetlinkError` if the kernel does not tell."""
    for _kind, answer in dump(NETLINK_ROUTE, RTM_GETLINK, bytes(IFINFOMSG), "which interfaces this host has"):
        about = dict(attributes(answer, IFINFOMSG)).get(IFLA_LINKINFO, b"")
        if dict(attributes(about, 0)).get(IFLA_INFO_KIND, b"").rstrip(b"\0") == b"bridge":
            return True
    return False
