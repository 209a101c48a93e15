"""The `servers` service of xinetd before 2.3.12: which servers run, in the form of the state dump's server table."""

from __future__ import annotations

import time
from collections.abc import Iterable

from sentinetd.model.noun import dataclass


@dataclass(frozen=True, slots=True)
class Running:
    """A running server. *started* is Unix time; *source* is "" where the service waits and no client is known."""

    service: str
    pid: int
    started: float
    source: str
    port: int
    looks_up_user: bool
    logs_end: bool


def text(servers: Iterable[Running]) -> str:
    """One block for each, an empty line after it."""
    return "".join(_block(one) for one in servers)


def _block(server: Running) -> str:
    remote = f"\tremote_address = {server.source},{server.port}\n" if server.source else ""
    return (
        f"{server.service} server\n"
        f"pid = {server.pid}\n"
        f"start_time = {time.ctime(server.started)}\n"
        "Connection info:\n"
        f"\tservice = {server.service}\n"
        "\tdescriptor = -1\n"
        f"\tflags = {3 if server.source else 1}\n"  # open, and its address known
        f"{remote}"
        f"log_remote_user = {'YES' if server.looks_up_user else 'NO'}\n"
        f"writes_to_log = {'YES' if server.logs_end else 'NO'}\n"
        "\n"
    )
