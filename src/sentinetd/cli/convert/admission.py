"""only_from and no_access as systemd's IPAddressAllow and IPAddressDeny (systemd.resource-control(5)).

In xinetd.conf(5) the narrower of two lists decides and a tie denies; for systemd whoever is in the list of the allowed
is allowed. So the networks are cut up until no two of them overlap.
"""

from __future__ import annotations

from collections.abc import Collection

from sentinetd.model.address import BITS, AddressSet, Network
from sentinetd.model.noun import dataclass


@dataclass(frozen=True, slots=True)
class Admission:
    """*allow* before *deny*; whoever is in neither is admitted. Not *everybody_else*: nobody else is."""

    allow: tuple[Network, ...] = ()
    deny: tuple[Network, ...] = ()
    everybody_else: bool = True


def admission(only_from: AddressSet, no_access: AddressSet) -> Admission:
    """Whom the numeric parts of both lists admit, in lists that do not overlap."""
    admitted: list[Network] = []
    refused: list[Network] = []
    open_to_all = True
    for version in BITS:
        root = Network(version, 0, 0)
        yes = {one for one in only_from.networks if one.version == version}
        no = {one for one in no_access.networks if one.version == version}
        _cut(root, frozenset(yes), frozenset(no), False, yes | no, admitted, refused)
        open_to_all = open_to_all and root in yes and root not in no
    if open_to_all:
        return Admission(deny=tuple(refused))
    return Admission(allow=tuple(admitted), everybody_else=False)


def _cut(
    net: Network,
    yes: frozenset[Network],
    no: frozenset[Network],
    verdict: bool,
    marks: Collection[Network],
    admitted: list[Network],
    refused: list[Network],
) -> None:
    """Put *net*, within which *marks* lie and which is judged like *verdict* where they do not, in the right lists."""
    verdict = net not in no and (net in yes or verdict)
    inner = [one for one in marks if one.length > net.length]
    if not inner:
        (admitted if verdict else refused).append(net)
        return
    before = len(admitted), len(refused)
    shift = BITS[net.version] - net.length - 1
    for half in (0, 1):
        part = Network(net.version, net.value | half << shift, net.length + 1)
        within = [one for one in inner if one.value >> shift == part.value >> shift]
        _cut(part, yes, no, verdict, within, admitted, refused)
    for found, others, at, other_at in ((admitted, refused, *before), (refused, admitted, *before[::-1])):
        if len(others) == other_at and len(found) == at + 2:  # both halves are judged alike
            found[at:] = [net]
