"""All lists of bans by name."""

from __future__ import annotations

from sentinetd.lists.comma import comma
from sentinetd.lists.head import Writer
from sentinetd.lists.ipset import ipset
from sentinetd.lists.json_list import json_list
from sentinetd.lists.nft import nft
from sentinetd.lists.plain import plain
from sentinetd.lists.stix_bundle import stix_bundle

WRITERS: dict[str, Writer] = {
    "plain": plain,
    "csv": comma,
    "json": json_list,
    "nft": nft,
    "ipset": ipset,
    "stix": stix_bundle,
}
"""Writers by the name that a configuration or an option gives them."""
