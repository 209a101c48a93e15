"""The manual pages, made of their frames (man/*.in): a line @WORD@ of those is replaced by what the tables say that the
program itself goes by. `reference` writes them.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click
import reference

from sentinetd import __version__
from sentinetd.cli import main as ctl
from sentinetd.cli.check.departures import DEPARTURES
from sentinetd.config.host import Host
from sentinetd.config.table import attributes
from sentinetd.config.toml import _readers
from sentinetd.daemon.options import TABLE
from sentinetd.model.events import EVENTS

COMMON = ("--socket", "-f, --config", "--help", "-h, --help")
"""Options that most commands have, which are told once."""
DATE = "2026-11-25"
TITLES = {"5": "File Formats Manual", "8": "System Manager's Manual"}
MADE = '.\\" Made by `make reference` from {source}; change that instead.'


def roff(words: str) -> str:
    """*words* as a paragraph that roff shows as they are; what stands between stars or backquotes is a name."""
    plain = " ".join(words.split()).replace("\\", "\\e").replace("-", "\\-")
    plain = re.sub(r"\*([a-z_0-9]+)\*", r"\\fI\1\\fR", plain)
    plain = re.sub(r"`+([^`]+)`+", r"\\fB\1\\fR", plain)
    return f"\\&{plain}" if plain[:1] in (".", "'") else plain


def sentences(words: str) -> Iterator[str]:
    """*words*, a sentence on a line, as roff wants them."""
    yield from re.split(r"(?<=[a-z0-9)][.:]) (?=[A-Z])", roff(words))


def item(term: str, *said: str) -> Iterator[str]:
    yield from (".TP", f"\\fB{roff(term)}\\fR")
    for paragraph in said:
        yield from sentences(paragraph)


def options() -> Iterator[str]:
    for row in TABLE:
        forms = (f"{form} {row.value}".strip() for form in (row.short, row.long) if form)
        yield from item(", ".join(forms), row.doc[0].upper() + row.doc[1:] + ".")


def attribute_list() -> Iterator[str]:
    for row in attributes():
        yield from item(f"{row.name} = {row.values}", row.doc, reference._marks(row).replace("**", "").replace("*", ""))


def departure_list() -> Iterator[str]:
    for attribute, _, text in DEPARTURES:
        yield from item(attribute, text[0].upper() + text[1:] + ".")


def setting_list() -> Iterator[str]:
    documented = dict(reference._settings())
    for name, keys in _readers(Host(os.environ)).items():
        noun = documented.get(name)
        yield f'.SH "TABLE [{name.upper()}]"'
        said = inspect.cleandoc(noun.__doc__ or "") if noun is not None else ""
        said = re.sub(r"^`\[+[a-z]+\]+`:?\s*", "", said)
        for paragraph in said.split("\n\n") if said else ():
            yield from sentences(paragraph[0].upper() + paragraph[1:])
        if isinstance(keys, Mapping):
            yield from (".PP", "Keys:")
            yield roff(", ".join(f"`{key}`" for key in keys) + ".")


def event_list() -> Iterator[str]:
    for event in EVENTS:
        yield from item(event.kind, *inspect.cleandoc(event.__doc__ or "").split("\n\n"))


def command_list() -> Iterator[str]:
    context = click.Context(ctl.commands, info_name=ctl.PROGRAM)
    for name in ctl.COMMANDS:
        command = ctl.commands.get_command(context, name)
        assert command is not None
        yield from _command(command, click.Context(command, parent=context, info_name=name))


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    path = context.command_path.partition(" ")[2]
    yield f'.SS "{path} {usage}"'.replace("-", "\\-")
    first = True
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if not first:
            yield ".PP"
        first = False
        if paragraph.startswith("\b\n"):
            yield ".nf"
            yield from (roff(line) for line in paragraph[2:].split("\n"))
            yield ".fi"
        else:
            yield from sentences(paragraph)
    for one in command.get_params(context):
        record = one.get_help_record(context)
        if record is not None and not record[0].startswith(COMMON):
            yield from item(record[0], record[1])
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _command(inner, click.Context(inner, parent=context, info_name=name))


PARTS: Mapping[str, Callable[[], Iterator[str]]] = {
    "@OPTIONS@": options,
    "@ATTRIBUTES@": attribute_list,
    "@DEPARTURES@": departure_list,
    "@SETTINGS@": setting_list,
    "@EVENTS@": event_list,
    "@COMMANDS@": command_list,
}


def page(source: Path) -> str:
    """The manual page that *source* is the frame of."""
    name, _, section = source.name.removesuffix(".in").rpartition(".")
    title = f'.TH {name.upper()} {section} {DATE} "sentinetd {__version__}" "{TITLES[section]}"'
    lines = [MADE.format(source=f"man/{source.name}, and from tables of the program"), title]
    for line in source.read_text("utf-8").splitlines():
        lines += PARTS[line]() if line in PARTS else [line]
    return "\n".join(lines) + "\n"


def pages(directory: Path) -> dict[Path, str]:
    """What each manual page in *directory* should be."""
    return {source.with_suffix(""): page(source) for source in sorted(directory.glob("*.in"))}
