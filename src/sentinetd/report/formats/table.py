"""All formats by name. A module of its own: the guard needs the daemon's own text and must not load the rest."""

from __future__ import annotations

from sentinetd.ports import Format
from sentinetd.report.formats.cef import cef
from sentinetd.report.formats.ecs import ecs
from sentinetd.report.formats.idmef import idmef
from sentinetd.report.formats.idmef2 import idmef2
from sentinetd.report.formats.json_line import json_line
from sentinetd.report.formats.ocsf import ocsf
from sentinetd.report.formats.rfc5424 import rfc5424
from sentinetd.report.formats.stix import stix
from sentinetd.report.formats.text import text_line
from sentinetd.report.formats.xinetd import xinetd_line

FORMATS: dict[str, Format] = {
    "text": text_line,
    "json": json_line,
    "xinetd": xinetd_line,
    "rfc5424": rfc5424,
    "cef": cef,
    "ecs": ecs,
    "ocsf": ocsf,
    "idmef": idmef,
    "idmef2": idmef2,
    "stix": stix,
}
"""Formats by the name that a configuration gives them. All give one line; idmef and stix only tell of some kinds. The
journal has its own, of bytes: `journald.journal_entry`."""
