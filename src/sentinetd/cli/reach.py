"""How a command finds the daemon: the options that all of them share, and the connection."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from sentinetd.config.directories import DEFAULT_CONFIG, control_socket
from sentinetd.control.client import Client

F = TypeVar("F", bound=Callable[..., Any])


def daemon_options(function: F) -> F:
    """The options --socket and --config, which say which daemon is meant."""
    config = click.option(
        "-f", "--config", metavar="FILE", default=DEFAULT_CONFIG, show_default=True,
        help="The daemon that runs this configuration.",
    )  # fmt: skip
    where = click.option(
        "--socket", metavar="PATH", envvar="SENTINETD_SOCKET", show_envvar=True,
        help="The daemon that listens at this control socket.",
    )  # fmt: skip
    return where(config(function))


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, as the daemon answers it.")


@contextmanager
def daemon(socket: str | None, config: str) -> Iterator[Client]:
    """A connection to the daemon of *config*, or at *socket* if that is given."""
    client = Client(socket or _socket(os.path.abspath(config)))
    try:
        yield client
    finally:
        client.close()


def _socket(config: str) -> str:
    """Where the daemon of *config* listens: root's; for an ordinary user his own, if he runs one."""
    uid, roots = os.geteuid(), control_socket(config, os.environ, 0)
    if uid == 0:
        return roots
    own = control_socket(config, os.environ, uid)
    return own if os.path.exists(own) else roots
