"""What an operator is told about broken configurations, to the letter.

To renew the files after a change of wording: ``python tests/config/test_golden.py``, then read the difference.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from config.machine import loaded

GOLDEN = Path(__file__).parent / "golden"


def told(file: Path) -> str:
    result = loaded(file.read_bytes())
    lines = [f"{one.scope.value} {one.level.value}: {one}" for one in result.diagnostics]
    services = " ".join(service.id for service in result.services)
    summary = [f"usable: {result.usable_after()}", f"services: {services}", f"faulty: {sorted(result.faulty)}"]
    return "\n".join([*lines, *summary]) + "\n"


@pytest.mark.parametrize("file", [pytest.param(file, id=file.stem) for file in sorted(GOLDEN.glob("*.conf"))])
def test_diagnostics(file: Path) -> None:
    assert told(file) == file.with_suffix(".txt").read_text()


if __name__ == "__main__":
    for one in sorted(GOLDEN.glob("*.conf")):
        one.with_suffix(".txt").write_text(told(one))
