"""``python run.py TARGET [OPTION]...``: fuzz one target, guided by coverage, until it fails or -max_total_time is over.

Needs atheris (``make fuzz`` installs it beside the sources); OPTIONs are libFuzzer's. What was found interesting goes to
the first directory named, which is read with the corpus; what made a target fail is written to ``crash-*`` and belongs
into the corpus once the fault is mended.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent / "src")]

with atheris.instrument_imports(include=["sentinetd"]):
    from fuzz.targets import TARGETS


def main(words: list[str]) -> None:
    """Never returns: libFuzzer ends the process."""
    name, *options = words
    atheris.Setup([f"fuzz-{name}", *options, str(HERE / "corpus" / name)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: run.py {'|'.join(TARGETS)} [OPTION]...")
    main(sys.argv[1:])
