"""Every way to carry a service out has a role that the tools can show."""

from __future__ import annotations

from sentinetd.daemon.inquiries import ROLES
from sentinetd.model.manner import Manner


def test_every_manner_has_a_role() -> None:
    assert ROLES.keys() == set(Manner)
