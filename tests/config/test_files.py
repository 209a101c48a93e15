"""What a file includes: order, names that are skipped, circles, what cannot be read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from config.machine import Machine, entry, loaded
from sentinetd.config.files import gather
from sentinetd.config.host import LARGEST, Host
from sentinetd.config.load import load
from sentinetd.config.pieces import Piece
from sentinetd.model.diagnostic import Scope


def names(files: Mapping[str, bytes | None], **more: Mapping[str, str]) -> tuple[str, list[str]]:
    gathered = gather("main", Machine(files, **more))  # type: ignore[arg-type]
    names = [(one.entry() if isinstance(one, Piece) else one).name for one in gathered.entries]
    return " ".join(names), [f"{one.scope.value}: {one}" for one in gathered.diagnostics]


def block(name: str) -> bytes:
    return f"service {name}\n{{\n}}\n".encode()


def test_include_stands_where_it_is_written() -> None:
    files = {"main": block("a") + b"include b\n" + block("c"), "b": block("b")}
    assert names(files) == ("a b c", [])


def test_includedir_takes_names_in_the_order_of_bytes() -> None:
    skipped = {"d/x.conf": block("x"), "d/y~": block("y"), "d/.hidden": block("z")}
    files = {"main": b"includedir d\n", **{f"d/{name}": block(name) for name in ("b", "_", "B", "a")}, **skipped}
    assert names(files) == ("B _ a b", [])


def test_includedir_skips_what_is_no_file() -> None:
    files = {"main": b"includedir d\n", "d/sub/x": block("x"), "d/a": block("a")}
    said, told = names(files, links={"d/gone": "/nowhere"})
    assert said == "a"
    assert told == [
        "line: main:1: Unable to stat includedir file d/gone: it leads nowhere; mend or delete the link",
        "line: main:1: d/sub is not a regular file. It is being skipped.; write includedir d/sub",
    ]


@pytest.mark.parametrize(
    ("files", "entries", "told"),
    [
        pytest.param(
            {"main": b"include main\n" + block("a")},
            "a",
            ["part: main:1: main includes itself: it is being read since main; delete one of both lines"],
            id="itself",
        ),
        pytest.param(
            {"main": b"\ninclude b\n", "b": b"include c\n", "c": b"\n\ninclude b\n" + block("a")},
            "a",
            ["part: c:3: b includes itself: it is being read since main:2; delete one of both lines"],
            id="a circle of two",
        ),
        pytest.param(
            {"main": b"includedir d\n", "d/a": b"includedir d\n", "d/b": block("b")},
            "b b",
            ["part: d/a:1: d/a includes itself: it is being read since main:1; delete one of both lines"],
            id="over a directory",
        ),
        pytest.param({"main": b"include b\ninclude b\n", "b": block("b")}, "b b", [], id="twice is no circle"),
        pytest.param(
            {"main": b"include gone\n" + block("a")},
            "a",
            [
                "part: main:1: Unable to open included configuration file: gone: "
                "No such file or directory; mend the name or the "
                "permissions"
            ],
            id="missing",
        ),
        pytest.param(
            {"main": b"include b\n", "b": None},
            "",
            [
                "part: main:1: Unable to open included configuration file: b: "
                "Permission denied; mend the name or the permissions"
            ],
            id="unreadable",
        ),
        pytest.param(
            {"main": b"include d\n", "d/a": b""},
            "",
            ["part: main:1: Unable to open included configuration file: d: it is a directory; write includedir d"],
            id="directory",
        ),
        pytest.param(
            {"main": b"includedir gone\n"},
            "",
            [
                "part: main:1: Unable to read included directory: gone: "
                "No such file or directory; mend the name or the "
                "permissions"
            ],
            id="no directory",
        ),
        pytest.param(
            {},
            "",
            ["file: main: open( main ) failed: No such file or directory; mend the name or the permissions"],
            id="no main file",
        ),
    ],
)
def test_mistakes(files: dict[str, bytes | None], entries: str, told: list[str]) -> None:
    assert names(files) == (entries, told)


def test_files_too_deep() -> None:
    files = {"main": b"include 0\n", **{str(level): f"include {level + 1}\n".encode() for level in range(100)}}
    _, told = names(files)
    assert told == ["part: 62:1: 63 is included 64 files deep; include it from the main file"]


def test_each_file_has_one_defaults_entry() -> None:
    result = loaded(
        "defaults\n{\ninstances = 5\nno_access = 192.0.2.1\n}\ninclude b\n" + entry("ftp", ""),
        {"b": b"defaults\n{\ninstances = 6\nno_access += 192.0.2.2\n}\ndefaults\n{\ninstances = 7\n}\n"},
    )
    (service,) = result.services
    assert service.instances == 5
    assert [str(net) for net in service.no_access.networks] == ["192.0.2.1", "192.0.2.2"]
    assert [(one.scope, str(one.place)) for one in result.diagnostics] == [(Scope.LINE, "b:3"), (Scope.LINE, "b:6")]


def test_the_real_machine(tmp_path: Path) -> None:
    """A directory of real files, a FIFO among them that nobody will ever write to."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "b").write_text(entry("b", "type = UNLISTED; port = 4000"))
    os.mkfifo(tmp_path / "d" / "fifo")
    (tmp_path / "main").write_text(f"includedir {tmp_path}/d\ninclude {tmp_path}/d/fifo\n")
    result = load(str(tmp_path / "main"), Host({}))
    assert [service.name for service in result.services] == ["b"]
    assert [one.text.rpartition(": ")[2] for one in result.diagnostics] == [
        f"{tmp_path}/d/fifo is not a regular file. It is being skipped.",
        "not a regular file",
    ]


def test_a_file_without_end_is_refused(tmp_path: Path) -> None:
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(OSError, match="larger than"):
        Host({}).read(str(huge))
