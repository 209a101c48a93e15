"""The attribute part of the manual page, from the table."""

from __future__ import annotations

from sentinetd.config.in_force import NOT_YET_IN_FORCE
from sentinetd.config.table import RESERVED, attributes
from sentinetd.model.attribute import Attribute, Kind

_USE = {Kind.FIXED: "=, once", Kind.LIST: "=, once", Kind.MODIFIABLE: "=, += and -="}


def roff() -> str:
    """Every attribute as a paragraph of man(7)."""
    lines: list[str] = []
    for row in attributes():
        names = " , ".join(f"\\fB{_escaped(name)}\\fP" for name in (row.name, *row.aliases))
        lines += [".TP", f"{names} = \\fI{_escaped(row.values)}\\fP", _escaped(" ".join(_sentences(row)))]
    lines += [".PP", _escaped(f"Reserved for later versions: {' '.join(sorted(RESERVED))}.")]
    return "\n".join(lines) + "\n"


def plain() -> str:
    """Every attribute as text of at most 100 columns."""
    import textwrap  # only the manual needs it

    parts = []
    for row in attributes():
        parts.append(f"{', '.join((row.name, *row.aliases))} = {row.values}")
        parts.append(textwrap.fill(" ".join(_sentences(row)), 100, initial_indent="    ", subsequent_indent="    "))
        parts.append("")
    parts.append(f"Reserved for later versions: {' '.join(sorted(RESERVED))}.")
    return "\n".join(parts) + "\n"


def _sentences(row: Attribute) -> list[str]:
    said = [row.doc, f"({_USE[row.kind]}{'; also in defaults' if row.defaults else ''})"]
    if row.extension:
        said.append("xinetd does not know it.")
    if (row.name, "") in NOT_YET_IN_FORCE:
        said.append("Understood, but not in force in this version.")
    else:
        options = sorted(option for name, option in NOT_YET_IN_FORCE if name == row.name)
        if options:
            said.append(f"Not in force in this version: {' '.join(options)}.")
    return said


def _escaped(text: str) -> str:
    """*text* so that man(7) prints it as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[:1] in (".", "'") else text
