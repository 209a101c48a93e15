"""Whole networks made this host's own, as far as what is sent there is concerned (ip-route(8), ``local NET dev lo``).

The host then takes what is routed to it for those addresses, and answers ARP for them, without having one of them.
"""

from __future__ import annotations

import errno
import socket
import struct

from sentinetd.model.address import BITS, Network
from sentinetd.net.netlink import CREATE, EXCLUSIVE, NetlinkError, attribute, order

NETLINK_ROUTE = 0
RTM_NEWROUTE, RTM_DELROUTE = 24, 25
RTMSG = struct.Struct("=BBBBBBBBI")  # family, to and from length, tos, table, origin, scope, type, flags
RTA_DST, RTA_OIF = 1, 4
TABLE_LOCAL, STATIC, OF_THE_HOST, LOCAL = 255, 4, 254, 2  # RT_TABLE_LOCAL, RTPROT_STATIC, RT_SCOPE_HOST, RTN_LOCAL
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


def claim(network: Network) -> bool:
    """Take what is sent to *network*; False if that was so already, by somebody else's doing. `NetlinkError` if the
    kernel does not allow it, which takes CAP_NET_ADMIN."""
    try:
        order(NETLINK_ROUTE, RTM_NEWROUTE, CREATE | EXCLUSIVE, _route(network), f"taking what is sent to {network}")
    except NetlinkError as error:
        if error.errno == errno.EEXIST:
            return False
        raise
    return True


def disclaim(network: Network) -> None:
    """Undo `claim`. That nothing is to be undone is no mistake."""
    try:
        order(NETLINK_ROUTE, RTM_DELROUTE, 0, _route(network), f"leaving {network}")
    except NetlinkError as error:
        if error.errno != errno.ESRCH:
            raise


def _route(network: Network) -> bytes:
    head = RTMSG.pack(FAMILIES[network.version], network.length, 0, 0, TABLE_LOCAL, STATIC, OF_THE_HOST, LOCAL, 0)
    destination = network.value.to_bytes(BITS[network.version] // 8, "big")
    loopback = struct.pack("=i", socket.if_nametoindex("lo"))
    return head + attribute(RTA_DST, destination) + attribute(RTA_OIF, loopback)
