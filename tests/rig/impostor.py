"""A helper of the daemon that somebody has taken over: says what its kind may say, whatever it means.

Run by `SITE`, put on the path of a daemon as its ``sitecustomize``: the helper named in RIG_IMPOSTOR is then one.
"""

from __future__ import annotations

import enum
import math
import os
import random
import socket
import types
import typing
from pathlib import Path
from typing import Any

from sentinetd.daemon import messages
from sentinetd.daemon.channel import Channel, ChannelClosed
from sentinetd.errors import MessageError
from sentinetd.model.address import Address, Network

SITE = f"""\
import os, sys
if os.environ["RIG_IMPOSTOR"] in " ".join(sys.orig_argv):
    sys.path.insert(0, {str(Path(__file__).parents[1])!r})
    from rig.impostor import speak
    speak(os.environ["RIG_IMPOSTOR"], int(sys.orig_argv[sys.orig_argv.index("--channel") + 1]))
    os._exit(0)
"""
MESSAGES = 4000
KINDS: dict[str, tuple[type[Any], ...]] = {
    "daemon.porter": messages.FROM_PORTER,
    "daemon.courier": messages.FROM_COURIER,
}
WHOLE = (-1, 0, *range(1, 12), 80, 65_535, 1 << 31, (1 << 63) - 1)
SECONDS = (0.0, -1.0, 1.0, 3600.0, 1e9, 1e18, math.inf)
WORDS = ("", "-", "hi", "192.168.1.20", "::1", "fe80::1%lo", "x" * 60, "\x1b[31mA\n", "\udcff")
ADDRESSES = ("192.168.1.20", "192.168.1.6", "10.1.2.3", "2001:db8::7", "127.0.0.1")
NETWORKS = ("192.168.1.20/32", "10.0.0.0/8", "2001:db8::/64", "0.0.0.0/0")


def made(kind: Any, dice: random.Random) -> Any:
    """Some value of the type *kind*."""
    simple: dict[Any, Any] = {
        bool: (False, True),
        int: WHOLE,
        float: SECONDS,
        str: WORDS,
        bytes: (b"", b"abc"),
        type(None): (None,),
        Address: [Address.parse(one) for one in ADDRESSES],
        Network: [Network.parse(one) for one in NETWORKS],
    }
    if kind in simple:
        return dice.choice(simple[kind])
    outer, inner = typing.get_origin(kind), typing.get_args(kind)
    if outer in (typing.Union, types.UnionType):
        return made(dice.choice(inner), dice)
    if outer is tuple and inner[-1] is not Ellipsis:
        return tuple(made(one, dice) for one in inner)
    if outer in (tuple, frozenset):
        return outer(made(inner[0], dice) for _ in range(dice.choice((0, 1, 2))))
    if issubclass(kind, enum.Enum):
        return dice.choice(list(kind))
    fields = typing.get_type_hints(kind)
    return kind(**{
        name: made(one, dice) for name, one in fields.items() if typing.get_origin(one) is not typing.ClassVar
    })  # fmt: skip


def speak(name: str, channel: int) -> None:
    """Say `MESSAGES` things at random through *channel*, then end."""
    dice = random.Random(f"{name} {os.getpid()}")
    talk = Channel(socket.socket(fileno=channel), KINDS[name])
    if name == "daemon.courier":
        talk.send(1, [messages.Ready("")])
    for number in range(MESSAGES):
        try:
            message = made(dice.choice(KINDS[name]), dice)
            while not talk.send(number, [message]):
                pass
        except (MessageError, ValueError):
            continue  # out of bounds: it would not get through
        except ChannelClosed:
            return
