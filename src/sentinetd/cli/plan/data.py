"""The table as data, for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sentinetd.cli.plan.ground import Listener, Port
from sentinetd.cli.plan.table import Table


def table_data(table: Table, name: Callable[[Port], str]) -> dict[str, Any]:
    """Addresses, ports, and a cell for each of both; what is FREE is a cell too."""
    return {
        "addresses": [str(address) for address in table.rows],
        "ports": [
            {"protocol": port.transport, "port": port.number, "name": name(port)} for port in table.columns
        ],
        "cells": [
            {
                "address": str(address),
                "protocol": port.transport,
                "port": port.number,
                "state": cell.state.value,
                "services": list(cell.services),
                "programs": list(_programs(cell.listeners)),
                "open": cell.open,
                "everywhere": any(one.everywhere for one in cell.listeners),
            }
            for (address, port), cell in table.cells.items()
        ],
    }


def _programs(listeners: Iterable[Listener]) -> Iterator[dict[str, Any]]:
    for one in listeners:
        for holder in one.holders:
            yield {"program": holder.program, "pid": holder.pid}
