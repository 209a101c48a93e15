"""The ports that the kernel itself hands out to whoever asks for none (ip-sysctl: ip_local_port_range)."""

from __future__ import annotations

from sentinetd.errors import EdgeError
from sentinetd.model.noun import dataclass

SYSCTL = "/proc/sys/net/ipv4"


@dataclass(frozen=True, slots=True)
class Ephemeral:
    """Ports from *low* to *high*, both included, but for *reserved* ones, are handed out."""

    low: int
    high: int
    reserved: tuple[tuple[int, int], ...] = ()

    def __contains__(self, port: int) -> bool:
        return self.low <= port <= self.high and not any(low <= port <= high for low, high in self.reserved)


def ephemeral(directory: str = SYSCTL) -> Ephemeral:
    """What *directory* says of this network namespace. `EdgeError` if it cannot be read."""
    try:
        with open(f"{directory}/ip_local_port_range", encoding="ascii") as file:
            low, high = (int(word) for word in file.read().split())
        with open(f"{directory}/ip_local_reserved_ports", encoding="ascii") as file:
            pieces = file.read().strip().split(",")
    except (OSError, ValueError) as error:
        raise EdgeError(f"{directory}: which ports the kernel hands out cannot be read: {error}") from error
    reserved = (piece.partition("-") for piece in pieces if piece)
    return Ephemeral(low, high, tuple((int(first), int(last or first)) for first, _, last in reserved))
