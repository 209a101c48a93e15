"""The rooms of the package import each other as ARCHITECTURE.md says, and the guard stays small."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sentinetd

ROOT = Path(sentinetd.__file__).parent

MAY_IMPORT = {
    "errors": set(),
    "model": {"errors"},
    "ports": {"model", "errors"},
    "config": {"model", "errors"},
    "policy": {"model", "errors"},
    "net": {"model", "errors", "ports"},
    "spawn": {"model", "errors", "ports"},
    "serve": {"model", "errors", "ports"},
    "ask": {"model", "errors", "ports"},
    "announce": {"model", "errors", "ports"},
    "store": {"model", "errors", "ports"},
    "firewall": {"model", "errors", "ports"},
    "report": {"model", "errors", "ports"},
    "lists": {"model", "errors", "ports", "report"},
    "feeds": {"model", "errors", "ports", "lists"},
    "control": {"model", "errors", "ports"},
    "cli": {"model", "errors", "config", "policy", "net", "report", "lists", "control"},
    "daemon": {
        "model", "errors", "ports", "config", "policy", "net", "spawn", "serve", "ask", "announce", "store", "report",
        "firewall", "lists", "feeds", "control",
    },
}

PURE = {"model", "policy", "config"}
WORLD = {"socket", "asyncio", "sqlite3", "subprocess", "time", "select", "threading"}

ELSEWHERE = {"asyncio", "ssl", "sqlite3", "logging", "argparse", "subprocess", "threading", "http", "email", "urllib"}
"""What the process that runs as root never loads."""

TOOLS = {"click", "rich"}
"""What is there for people at a terminal; no code of the daemon asks for it (its web server loads click)."""


def modules() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py") if path.name != "__init__.py" or path.parent != ROOT)


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """The full names of what *path* imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_what_is_above_it(path: Path) -> None:
    room = room_of(path)
    ours = {name.split(".")[1] for name in imported(path) if name.startswith("sentinetd.")}
    assert ours - {room, "__version__"} <= MAY_IMPORT[room]


@pytest.mark.parametrize(
    "path",
    [path for path in modules() if room_of(path) in PURE and path.relative_to(ROOT) != Path("config/host.py")],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_a_pure_room_knows_no_world(path: Path) -> None:
    assert not {name.split(".")[0] for name in imported(path)} & WORLD


def test_only_the_tools_know_what_they_stand_on() -> None:
    users = {room_of(path) for path in modules() if {name.split(".")[0] for name in imported(path)} & TOOLS}
    assert users == {"cli"}


def test_the_guard_loads_little() -> None:
    """Every module counts: it is the process that runs as root, and its memory is what an idle host pays."""
    told = subprocess.run(
        [sys.executable, "-c", "import sys; import sentinetd.daemon.life; print(*sys.modules)"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    loaded = {name.split(".")[0] for name in told.stdout.split()}
    assert not loaded & (ELSEWHERE | TOOLS)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_nouns_are_made_by_our_own_means(path: Path) -> None:
    """`model.noun` says why; one class by the library's means, and every process pays for all that those load."""
    users = {name for name in imported(path) if name.split(".")[0] == "dataclasses"}
    assert not users or path == ROOT / "model" / "noun.py"
