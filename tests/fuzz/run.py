"""Fuzz what `targets` has, guided by coverage. Needs atheris; ``make fuzz`` installs it.

run.py all [SECONDS]         every target in turn, so many seconds each (120)
run.py TARGET [OPTION]...    one target, with options of libFuzzer, until it fails or for ever
run.py keep                  make the corpus anew of what is in it and what was found, as small as covers the same;
                             what was written by hand, ``seed-*``, stays

What is found goes to ``.cache/fuzz/TARGET``; what makes a target fail is written to ``.cache/fuzz/TARGET-crash-*`` and
belongs into the corpus once the fault is mended.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import atheris

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FOUND = ROOT / ".cache" / "fuzz"
sys.path[:0] = [str(HERE.parent), str(ROOT / "src")]

with atheris.instrument_imports(include=["sentinetd"]):
    from fuzz.targets import CORPUS, LARGEST, LONGEST, TARGETS, WRITTEN

LIMITS = (f"-max_len={LONGEST}", "-timeout=10", "-rss_limit_mb=1024")


def fuzz(name: str, options: list[str]) -> None:
    """Fuzz one target with libFuzzer's *options*. Never returns: libFuzzer ends the process."""
    (FOUND / name).mkdir(parents=True, exist_ok=True)
    places = [f"-artifact_prefix={FOUND / name}-", *options]
    if not any(option.startswith("-merge") for option in options):
        places += [str(FOUND / name), str(CORPUS / name)]
    again = f"{sys.executable} {__file__} {name}"  # libFuzzer hands it to a shell where it starts itself again
    atheris.Setup([again, *LIMITS, *places], TARGETS[name])
    atheris.Fuzz()


def fuzz_all(seconds: str) -> int:
    """Fuzz every target; the number of those that failed."""
    failed = []
    for name in TARGETS:
        print(f"== {name}, {seconds} s", flush=True)
        words = [sys.executable, __file__, name, f"-max_total_time={seconds}", "-verbosity=0", "-print_final_stats=1"]
        if subprocess.run(words, check=False).returncode:
            failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else "no promise was broken")
    return len(failed)


def keep() -> None:
    """Make each target's corpus anew: libFuzzer chooses what covers everything, the shortest files are kept."""
    for name in TARGETS:
        (FOUND / name).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as chosen:
            words = [sys.executable, __file__, name, "-merge=1", chosen, str(CORPUS / name), str(FOUND / name)]
            subprocess.run(words, check=True, capture_output=True)
            paths = sorted(Path(chosen).iterdir(), key=lambda path: (path.stat().st_size, path.name))
            if not paths:
                raise SystemExit(f"nothing covers anything in {CORPUS / name} and {FOUND / name}")
            kept = paths[:: -(-len(paths) // LARGEST)]  # evenly, from the shortest to the longest
            for path in (CORPUS / name).iterdir():
                if not path.name.startswith(WRITTEN):
                    path.unlink()
            for path in kept:
                shutil.copyfile(path, CORPUS / name / path.name)
        print(f"{name}: {len(kept)} of {len(paths)}")


def main(words: list[str]) -> int:
    """The command."""
    match words:
        case ["all"]:
            return fuzz_all("120")
        case ["all", seconds]:
            return fuzz_all(seconds)
        case ["keep"]:
            keep()
            return 0
        case [name, *options] if name in TARGETS:
            fuzz(name, options)
    print(f"{__doc__}\nTargets: {' '.join(TARGETS)}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
