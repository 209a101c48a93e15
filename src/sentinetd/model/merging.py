"""How lines of a modifiable attribute add up (xinetd.conf(5), the operators ``=``, ``+=`` and ``-=``)."""

from __future__ import annotations

from sentinetd.model.address import NOBODY, AddressSet
from sentinetd.model.attribute import Merge

Words = tuple[str, ...]


def _joined(old: AddressSet, new: AddressSet) -> AddressSet:
    return AddressSet(old.networks + new.networks, old.names + new.names)


def _without(old: AddressSet, gone: AddressSet) -> AddressSet:
    """*old* less the same networks and names: a larger network is not cut up."""
    return AddressSet(
        tuple(net for net in old.networks if net not in gone.networks),
        tuple(name for name in old.names if name not in gone.names),
    )


def _options_joined(old: frozenset[object], new: frozenset[object]) -> frozenset[object]:
    return old | new


def _options_without(old: frozenset[object], gone: frozenset[object]) -> frozenset[object]:
    return old - gone


def _strings_joined(old: Words, new: Words) -> Words:
    return (*old, *new)


def _variables_joined(old: Words, new: Words) -> Words:
    """Names of variables are the same whatever their case (xinetd's own rule)."""
    known = {name.lower() for name in old}
    return (*old, *(name for name in new if name.lower() not in known))


def _variables_without(old: Words, gone: Words) -> Words:
    lowered = {name.lower() for name in gone}
    return tuple(name for name in old if name.lower() not in lowered)


ADDRESSES = Merge(NOBODY, _joined, _without)
OPTIONS = Merge(frozenset(), _options_joined, _options_without)
STRINGS = Merge((), _strings_joined, None)
VARIABLES = Merge((), _variables_joined, _variables_without)
