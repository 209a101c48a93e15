"""Whether the cases that `coverage` names prove what they are named for.

``python -m differential.proof [PART]`` in ``tests`` (as root; some minutes) plays each of them against sentinetd with
the thing in question taken out of its configuration or its options. It must come out differently then. What does not is
told, and fails, unless it cannot by its nature: because it has no effect (REUSE), or says what holds anyway (disable =
no).
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from differential.coverage import (
    DEFAULT,
    INTERNAL,
    NOT_COMPARED,
    OPERATOR,
    OPTION,
    SWITCH,
    Thing,
    shown,
)
from differential.stage import SAME, Case, Stage, play
from rig.daemon import Daemon, Kind, Work
from rig.network import Lab
from rig.probe import build
from sentinetd.daemon.options import OLD, TABLE

CANDIDATES = 8
"""Cases of one thing that are tried, until one proves it."""

BY_NATURE: Mapping[Thing, str] = {
    **{
        Thing(OPTION, name, word): "what holds anyway, and defaults cannot say otherwise"
        for name, word in (
            ("deny_dgram", "no"), ("deny_time", "NEVER"), ("disable", "no"), ("end_sessions", "no"), ("mdns", "yes"),
            ("rlimit_rss", "UNLIMITED"),
        )
    },
    **{Thing(OPERATOR, name, "+="): "in defaults = means +=" for name in ("enabled", "disabled")},
    Thing(OPTION, "flags", "NORETRY"): "only where fork(2) fails for a moment; tests/policy",
    Thing(OPTION, "flags", "REUSE"): "holds anyway, as under xinetd",
    Thing(OPTION, "type", "SPECIAL"): "means nothing, as under xinetd",
    Thing(SWITCH, "", "-cc"): "says nothing where all is well; tests/daemon",
    Thing(SWITCH, "", "-reuse"): "does nothing, as under xinetd",
    Thing(SWITCH, "", "-shutdownprocs"): "does nothing, as under xinetd",
}  # fmt: skip
"""What cannot come out differently, and why."""


def without(case: Case, thing: Thing) -> Case:
    """*case* as it would be if nobody asked for *thing*; unchanged where that cannot be done by leaving out."""
    if thing.kind == SWITCH:
        return replace(case, options=tuple(_options(case.options, thing.what)))
    files = {
        name: text if name.startswith("etc/") else "".join(_lines(text, thing)) for name, text in case.files.items()
    }
    return replace(case, config="".join(_lines(case.config, thing)), files=files)


def _options(options: tuple[str, ...], switch: str) -> Iterator[str]:
    rest = list(options)
    takes_value = {option.short for option in TABLE if option.value} | {word for word, count in OLD.items() if count}
    while rest:
        word = rest.pop(0)
        values = [rest.pop(0)] if word in takes_value and rest else []
        if word != switch:
            yield from (word, *values)


def _lines(text: str, thing: Thing) -> Iterator[str]:
    in_defaults = False
    for line in text.splitlines(keepends=True):
        words = line.split()
        if words and words[0] in ("defaults", "service"):
            in_defaults = words[0] == "defaults"
        if len(words) < 2 or words[0] != thing.name or (thing.kind == DEFAULT and not in_defaults):
            yield line
        elif thing.kind == OPERATOR:
            yield line.replace(f" {thing.what} ", " = ", 1)
        elif thing.kind == OPTION:
            left = [word for word in words[2:] if word.lower() != thing.what.lower()]
            if len(left) == len(words) - 2:
                yield line
            elif left and thing.name != "log_type":
                yield f"\t{' '.join((*words[:2], *left))}\n"


def main(part: str) -> int:
    """Prove all things whose name holds *part*; how many could not be."""
    directory = Path(tempfile.mkdtemp(prefix="sentinetd-probe-"))
    directory.chmod(0o755)
    probe, lab, unproved = build(directory), Lab(), 0
    try:
        for thing, cases in shown().items():
            cases = [case for case in cases if without(case, thing) != case]
            if part not in str(thing) or thing in NOT_COMPARED or thing.kind == INTERNAL or not cases:
                continue
            proof = next((case for case in cases[:CANDIDATES] if _proves(case, thing, lab, probe)), None)
            if proof is not None and thing not in BY_NATURE:
                print(f"{thing!s:<42} {proof.id}", flush=True)
                continue
            nature = BY_NATURE.get(thing)
            wrong = proof is not None or nature is None
            unproved += wrong
            how = f"NOT BY {cases[0].id}" if proof is None else f"PROVED, THOUGH IT CANNOT BE, BY {proof.id}"
            print(f"{thing!s:<42} {how if wrong else '- ' + str(nature)}", flush=True)
    finally:
        lab.close()
        shutil.rmtree(directory)
    print(f"{unproved} not proved")
    return min(unproved, 1)


def _proves(case: Case, thing: Thing, lab: Lab, probe: Path) -> bool:
    changed = without(case, thing)
    wanted = _play(case, lab, probe) if case.expect is SAME else repr(case.expected(Kind.SENTINETD))
    return _play(changed, lab, probe) != wanted


def _play(case: Case, lab: Lab, probe: Path) -> str:
    """What came out, in one word or another: also a failure is an outcome."""
    work = Work()
    daemon = Daemon(Kind.SENTINETD, lab, work)
    lab.write_etc()
    try:
        stage = Stage(daemon, lab, case, probe)
        daemon.config.write_text(stage.fill(case.config))
        return repr(play(stage))
    except (AssertionError, OSError) as error:
        return f"failed: {error!r:.100}"
    finally:
        daemon.close()
        lab.host.sweep()
        work.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:] or [""]))
