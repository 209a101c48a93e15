"""The daemon's own settings, from sentinetd.toml."""

from __future__ import annotations

from dataclasses import dataclass

from sentinetd.model.address import NOBODY, AddressSet


@dataclass(frozen=True, slots=True, kw_only=True)
class BanSettings:
    """`[bans]`: how bans are kept.

    *maximum*: bans in force at once; beyond it the one that ends soonest goes. *exempt*: sources never banned,
    beside the host's own if *exempt_own*. *dry_run*: trips are told, nobody is banned.
    *max_bans_per_minute*: more trips are only told; None: no such limit. *prefix_v4*,
    *prefix_v6*: bits of an off-link source that a ban covers.
    """

    maximum: int = 2_000_000
    exempt: AddressSet = NOBODY
    exempt_own: bool = True
    dry_run: bool = False
    max_bans_per_minute: int | None = None
    prefix_v4: int = 32
    prefix_v6: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """`[store]`: *required*: without a readable store the daemon does not start, rather than forget its bans."""

    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MdnsSettings:
    """`[mdns]`: *enabled*: services are advertised on the local network, but for those with `mdns = no`."""

    enabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole file; what it leaves out is as here."""

    bans: BanSettings = BanSettings()
    store: StoreSettings = StoreSettings()
    mdns: MdnsSettings = MdnsSettings()
