"""The probe server: builds it, and reads what it printed."""

from __future__ import annotations

from pathlib import Path

from rig.network import run

SOURCE = Path(__file__).with_name("probe.c")


def build(directory: Path) -> Path:
    """Compile the probe into *directory*; every user may run it."""
    program = directory / "probe"
    run("cc", "-O1", "-Wall", "-o", str(program), str(SOURCE))
    program.chmod(0o755)
    return program


def world(text: str) -> dict[str, str]:
    """What the probe printed, key to value; a variable X of the environment is ``env.X``."""
    found = {}
    for line in text.splitlines():
        key, _, value = line.partition("=" if line.startswith("env.") else " ")
        found[key] = value
    return found
