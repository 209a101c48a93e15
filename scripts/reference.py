#!/usr/bin/env python3
"""reference DIRECTORY: write the generated pages of the documentation there; reference --check DIRECTORY: say which
of them are stale, and exit with 1 if any is. The manual pages in man/ go with them.

Every page is made of the table that the program itself goes by, so that none of them can say anything else.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, fields
from enum import Enum
from pathlib import Path
from typing import Any

import click

from sentinetd.cli import main as ctl
from sentinetd.cli.plan.targets import targets
from sentinetd.config import in_force, toml
from sentinetd.config.host import Host
from sentinetd.config.table import RESERVED, attributes
from sentinetd.control import openapi
from sentinetd.daemon.options import OLD, TABLE
from sentinetd.model import settings
from sentinetd.model.attribute import Attribute, Kind
from sentinetd.report import schema

MADE = "<!-- Made by `make reference` from {source}; change that instead. -->"
USES = {Kind.FIXED: "`=`, once", Kind.LIST: "`=`, once", Kind.MODIFIABLE: "`=`, `+=`, `-=`"}


def head(title: str, source: str, *said: str) -> list[str]:
    return [f"# {title}", "", MADE.format(source=source), "", *(line for one in said for line in (one, ""))]


def text(words: str) -> str:
    """*words* so that Markdown shows them as they are; what stands between stars is a name of ours."""
    plain = " ".join(words.split()).replace("|", "\\|").replace("<", "&lt;")
    plain = re.sub(r"\*([a-z_0-9]+)\*", r"`\1`", plain)
    return plain.replace("[", "\\[").replace("`\\[", "`[")


def rows(header: Iterable[str], body: Iterable[Iterable[str]]) -> Iterator[str]:
    header = list(header)
    yield f"| {' | '.join(header)} |"
    yield "|" + "---|" * len(header)
    yield from (f"| {' | '.join(row)} |" for row in body)


def attribute_page() -> str:
    lines = head(
        "Attributes",
        "src/sentinetd/model/service.py",
        "What may stand in a service's entry of `xinetd.conf`. Entries, `defaults`, `include` and the three operators "
        "are those of xinetd; attributes marked **new** xinetd does not know, and refuses. Those marked *defaults* may "
        "stand in the `defaults` entry, from where services without a line of their own have them.",
    )
    for row in attributes():
        lines += [f"## `{row.name}`", "", f"`{row.name} = {row.values}`", "", text(row.doc), "", _marks(row), ""]
    lines += ["## Reserved", "", f"For later versions: {', '.join(f'`{name}`' for name in sorted(RESERVED))}.", ""]
    return "\n".join(lines)


def _marks(row: Attribute) -> str:
    marks = [USES[row.kind]]
    marks += [f"also called {' '.join(f'`{name}`' for name in row.aliases)}"] if row.aliases else []
    marks += ["*defaults*"] if row.defaults else []
    marks += ["**new**"] if row.extension else []
    later = sorted(option for name, option in in_force.NOT_YET_IN_FORCE if name == row.name)
    if later:
        marks.append("not in force in this version" + (f": {', '.join(later)}" if any(later) else ""))
    return f"({'; '.join(marks)})"


def settings_page() -> str:
    lines = head(
        "Settings",
        "src/sentinetd/model/settings.py and config/toml.py",
        "`sentinetd.toml`: the daemon's own settings, beside the configuration or named by `--settings`. It need not "
        "be there. It may hold secrets, so give it mode 0600. A name that is unknown is an error. "
        "[Alerts](../alerts.md) (`[[alert]]`) and [feeds](../feeds.md) (`[[feed]]`) have pages of their own.",
    )
    documented = dict(_settings())
    tables: Mapping[str, Any] = toml._readers(Host(os.environ))
    for name, keys in tables.items():
        lines += _table(name, keys, documented.get(name), later=toml.NOT_YET_IN_FORCE.get(name, frozenset()))
    if toml.TABLES_NOT_YET_IN_FORCE:
        names = ", ".join(f"`[{name}]`" for name in sorted(toml.TABLES_NOT_YET_IN_FORCE))
        lines += ["## Not in force in this version", "", f"Understood, and without effect: {names}.", ""]
    return "\n".join(lines)


def _settings() -> Iterator[tuple[str, type]]:
    """The dataclasses of the settings, by the table that their documentation begins with."""
    for _, noun in inspect.getmembers(settings, inspect.isclass):
        if match := re.match(r"`\[+([a-z]+)\]+`", noun.__doc__ or ""):
            yield match[1], noun


def _table(name: str, keys: Any, noun: type | None, later: Iterable[str]) -> Iterator[str]:
    yield from (f"## `[{name}]`", "")
    said = inspect.cleandoc(noun.__doc__ or "") if noun is not None else ""
    said = re.sub(r"^`\[+[a-z]+\]+`:?\s*", "", said)
    if said:
        yield from (text(said[0].upper() + said[1:]), "")
    given = {one.name: one for one in fields(noun)} if noun is not None else {}
    body = [(f"`{key}`", _of_key(key, given)) for key in keys] if isinstance(keys, Mapping) else []
    if body:
        yield from (*rows(("Key", "Default"), body), "")
    if later:
        yield from (f"Not in force in this version: {', '.join(f'`{key}`' for key in sorted(later))}.", "")


def _of_key(key: str, given: Mapping[str, Any]) -> str:
    """The default of *key*; of one that fills several fields, that of each."""
    parts = {name.removeprefix(f"{key}_"): one.default for name, one in given.items() if name.startswith(f"{key}_")}
    if key in given or not parts:
        return _default(given.get(key))
    return f"`{{ {', '.join(f'{name} = {value}' for name, value in parts.items())} }}`"


def _default(one: Any) -> str:
    value = MISSING if one is None else one.default
    if value is MISSING:
        return ""
    if isinstance(value, Enum):
        value = value.value
    if value is None or (not isinstance(value, bool | int | float) and not value):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def option_page() -> str:
    lines = head(
        "Options of the daemon",
        "src/sentinetd/daemon/options.py",
        "All of xinetd's options, and a long form of each. The short forms take their value in the next word, the long "
        "ones also behind `=`.",
    )
    body = []
    for row in TABLE:
        forms = [f"{form} {row.value}".strip() for form in (row.short, row.long) if form]
        body.append((", ".join(f"`{form}`".replace("|", "\\|") for form in forms), text(row.doc)))
    lines += [*rows(("Option", "Effect"), body), "", f"Without effect: {', '.join(f'`{name}`' for name in OLD)}.", ""]
    return "\n".join(lines)


def command_page() -> str:
    context = click.Context(ctl.commands, info_name=ctl.PROGRAM)
    lines = head("Commands", "the commands of src/sentinetd/cli", inspect.cleandoc(ctl.commands.help or ""))
    body = ((f"[`{name}`](#{name})", text(doc)) for name, (_, doc) in ctl.COMMANDS.items())
    lines += [*rows(("Command", "What it does"), body), ""]
    for name in ctl.COMMANDS:
        command = ctl.commands.get_command(context, name)
        assert command is not None
        lines += _command(command, click.Context(command, parent=context, info_name=name))
    return "\n".join(lines)


def _command(command: click.Command, context: click.Context, depth: int = 2) -> Iterator[str]:
    yield from (f"{'#' * depth} {context.info_name} {{#{'-'.join(context.command_path.split()[1:])}}}", "")
    usage = " ".join(command.collect_usage_pieces(context))
    yield from ("```console", f"$ {context.command_path} {usage}", "```", "")
    for paragraph in inspect.cleandoc(command.help or "").replace("\b\n", "").split("\n\n"):
        yield from (text(paragraph), "")
    records = [one.get_help_record(context) for one in command.get_params(context)]
    body = [(f"`{one[0]}`".replace("|", "\\|"), text(one[1])) for one in records if one is not None]
    yield from (*rows(("Option", "Effect"), body), "")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _command(inner, click.Context(inner, parent=context, info_name=name), depth + 1)


def api_page() -> str:
    told = openapi.description()
    lines = head(
        "Control API",
        "src/sentinetd/control/requests.py",
        "HTTP with JSON over the control socket. The whole description, with the form of every body and answer, is "
        "[openapi.json](openapi.json) (OpenAPI 3.1); a running daemon gives its own at `/v1/openapi.json`.",
    )
    body = []
    for path, methods in told["paths"].items():
        for method, one in methods.items():
            parameters = ", ".join(f"`{given['name']}`" for given in one.get("parameters", ()))
            body.append((f"`{method.upper()} {path}`", text(one["summary"]), ", ".join(one["tags"]), parameters))
    return "\n".join([*lines, *rows(("Operation", "What it does", "Right", "Parameters"), body), ""])


def port_page() -> str:
    lines = head(
        "Ports that attackers love",
        "src/sentinetd/cli/plan/targets.toml",
        "What `sentinetctl plan` chooses from, in its order. The rank is the port's place among the TCP ports of "
        "nmap-services (nmap 7.93) by how often each was found open; nmap tries them in this order.",
    )
    known = {source.key: source for target in targets().values() for source in target.sources}
    body = []
    for port, one in targets().items():
        said = ", ".join(f"[{key.key}]({key.url})" if key.url else key.key for key in one.sources)
        body.append((str(port), f"`{one.name}`", str(one.rank or ""), text(one.why), text(one.beware), said))
    lines += [*rows(("Port", "Name", "Rank", "Why", "In good faith", "Sources"), body), "", "## Sources", ""]
    lines += [f"- {key}: {source.title}" for key, source in sorted(known.items()) if not key.startswith("CVE-")]
    return "\n".join([*lines, ""])


def description() -> str:
    return json.dumps(openapi.description(), indent=1) + "\n"


PAGES: Mapping[str, Callable[[], str]] = {
    "attributes.md": attribute_page,
    "settings.md": settings_page,
    "options.md": option_page,
    "commands.md": command_page,
    "api.md": api_page,
    "openapi.json": description,
    "ports.md": port_page,
    "events.md": schema.page,
    "events.schema.json": lambda: json.dumps(schema.schema(), indent=2) + "\n",
}


def main(words: list[str]) -> int:
    check = words[:1] == ["--check"]
    if len(words) != 1 + check:
        print("usage: reference [--check] DIRECTORY", file=sys.stderr)
        return 2
    os.environ["COLUMNS"] = "80"
    directory = Path(words[-1])
    made = {directory / name: page() for name, page in PAGES.items()}
    import manuals  # which is made of the same, and imports this

    made |= manuals.pages(Path(__file__).parents[1] / "man")
    stale = [path for path, page in made.items() if not path.exists() or path.read_text("utf-8") != page]
    for path in stale:
        if check:
            print(f"{path} is stale: make reference", file=sys.stderr)
        else:
            path.write_text(made[path], "utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
