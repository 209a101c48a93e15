"""A socket address as the kernel tells it, read once into an `Address`: one spelling for each source.

Every room behind this one sees a source that came by an IPv4-mapped IPv6 address as the IPv4 address it is
(RFC 4291 section 2.5.5.2), and a link-local one together with its interface (RFC 4007 section 6).
"""

from __future__ import annotations

import socket
from socket import AF_INET, AF_INET6, if_indextoname, inet_ntop, inet_pton

from sentinetd.model.address import Address

MAPPED = "::ffff:"
"""How the text of an IPv4-mapped address begins; a dotted quad follows."""

SO_ORIGINAL_DST = 80  # linux/netfilter_ipv4.h; IP6T_SO_ORIGINAL_DST has the same number

_number = int.from_bytes  # bound once: this runs for every connection


def source_of(where: tuple[str, int] | tuple[str, int, int, int]) -> Address:
    """The address in the sockaddr *where* of an AF_INET or AF_INET6 socket, as Python's socket calls return it."""
    text = where[0]
    if len(where) == 2:
        return Address(4, _number(inet_pton(AF_INET, text), "big"), text)
    if "." in text:
        if text.startswith(MAPPED):
            dotted = text[7:]
            return Address(4, _number(inet_pton(AF_INET, dotted), "big"), dotted)
        return Address.parse(text)  # ::192.0.2.1: inet_ntop(3) has its own spelling for these
    index = where[3]
    if index:
        scope = interface_name(index)
        return Address(6, _number(inet_pton(AF_INET6, text), "big"), f"{text}%{scope}", scope)
    return Address(6, _number(inet_pton(AF_INET6, text), "big"), text)


def interface_name(index: int) -> str:
    """The name of interface number *index*; the number itself where the interface is gone meanwhile."""
    try:
        return if_indextoname(index)
    except OSError:
        return str(index)


def local_of(descriptor: int) -> tuple[Address, int]:
    """The address and port that the socket *descriptor* has at our end (getsockname(2))."""
    # Without a family Python asks the kernel for that, the type and the protocol; the address tells its own anyway, and
    # that of IPv6 needs the most room.
    bound = socket.socket(AF_INET6, socket.SOCK_STREAM, 0, descriptor)
    try:
        where = bound.getsockname()
    finally:
        bound.detach()
    return source_of(where), int(where[1])


def asked_of(descriptor: int, bound: int) -> tuple[Address, int]:
    """The address and port that the client of the accepted socket *descriptor* asked for. At the port *bound* of the
    listener it may have been redirected, and the kernel knows from where (SO_ORIGINAL_DST)."""
    accepted = socket.socket(fileno=descriptor)
    try:
        where = accepted.getsockname()
        if where[1] == bound:
            where = _before_redirection(accepted) or where
    finally:
        accepted.detach()
    return source_of(where), int(where[1])


def _before_redirection(accepted: socket.socket) -> tuple[str, int] | tuple[str, int, int, int] | None:
    """Where *accepted* was sent to at first, if connection tracking knows."""
    try:
        if accepted.family == AF_INET:
            told = accepted.getsockopt(socket.IPPROTO_IP, SO_ORIGINAL_DST, 16)
            return inet_ntop(AF_INET, told[4:8]), _number(told[2:4], "big")
        told = accepted.getsockopt(socket.IPPROTO_IPV6, SO_ORIGINAL_DST, 28)
        return inet_ntop(AF_INET6, told[8:24]), _number(told[2:4], "big"), 0, 0
    except OSError:
        return None  # nobody redirected it
