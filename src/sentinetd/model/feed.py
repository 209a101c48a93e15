"""A list that is kept current for others: the `[[feed]]` tables of sentinetd.toml."""

from __future__ import annotations

from enum import Enum

from sentinetd.model.ban import Origin
from sentinetd.model.noun import dataclass


class FeedFormat(Enum):
    """How a feed is written. The last two are reports of trips, the others lists of bans."""

    PLAIN = "plain"
    CSV = "csv"
    JSON = "json"
    NFT = "nft"
    IPSET = "ipset"
    STIX = "stix"
    ABUSEIPDB = "abuseipdb"
    DSHIELD = "dshield"

    @property
    def reports(self) -> bool:
        """Whether it tells of trips, not of bans."""
        return self in (FeedFormat.ABUSEIPDB, FeedFormat.DSHIELD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """The file *name* in the directory that is number *directory* of the settings' files.

    It is written each *every* seconds, and, if it is a list of bans, *delay* seconds after a change: of those that one
    of *origins* ordered, for the IP *versions*, the *most* that were touched last. *user* is the number under which
    DShield knows who reports.
    """

    directory: int
    name: str
    format: FeedFormat
    every: float
    delay: float
    origins: tuple[Origin, ...]
    versions: tuple[int, ...]
    most: int
    user: int = 0
