"""How events look. A format is a pure function from an event to a line; the table below is all there are."""

from __future__ import annotations

from sentinetd.ports import Format
from sentinetd.report.formats.json_line import json_line
from sentinetd.report.formats.text import text_line

FORMATS: dict[str, Format] = {"text": text_line, "json": json_line}
"""Formats by the name that a configuration gives them."""
