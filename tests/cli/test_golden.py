"""What comes out of configurations that use everything, and what is told of it, to the letter.

To renew the files after a change: ``PYTHONPATH=tests python tests/cli/test_golden.py``, then read the difference.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.conversion import converted, told

GOLDEN = Path(__file__).parent / "golden"
TARGETS = {".inetd": "xinetd", ".xinetd": "systemd"}
FILES = sorted(file for file in GOLDEN.iterdir() if file.suffix in TARGETS)


def result(file: Path) -> str:
    outcome = converted(file.read_bytes(), TARGETS[file.suffix])
    parts = [f"=== {one.name}\n{one.text}" for one in outcome.files]
    return "\n".join([*told(outcome), "", *parts])


@pytest.mark.parametrize("file", [pytest.param(file, id=file.stem) for file in FILES])
def test_conversion(file: Path) -> None:
    assert result(file) == file.with_suffix(".txt").read_text()


if __name__ == "__main__":
    for one in FILES:
        one.with_suffix(".txt").write_text(result(one))
