"""XML on one line: elements made of text that may hold anything."""

from __future__ import annotations

from collections.abc import Mapping

from sentinetd.report.escape import escape

_QUOTED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})


def quoted(text: object) -> str:
    """*text* as the value of an attribute or the text of an element: XML has no way to write most control characters
    and half surrogate pairs, so they come as `escape` spells them."""
    return escape(str(text)).translate(_QUOTED)


def element(name: str, content: str = "", attributes: Mapping[str, object] | None = None) -> str:
    """The element *name* with *content*, which is XML already."""
    told = "".join(f' {key}="{quoted(value)}"' for key, value in (attributes or {}).items())
    return f"<{name}{told}>{content}</{name}>" if content else f"<{name}{told}/>"
