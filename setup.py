"""Builds the C spawner into the package, as a program beside the modules that start it.

It is linked statically where the C library's archive is there: then the wheel serves machines with another C library
too. Without a working compiler the package is built all the same, says so, and falls back to Python at run time.
CC and CFLAGS are heeded. In the source tree: ``python setup.py build_ext --inplace`` or ``pip install -e .``.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

SPAWN = "src/sentinetd/spawn/"
SPAWNER = Extension(
    "sentinetd.spawn.sentinetd-spawner",
    sources=[SPAWN + "spawner.c", SPAWN + "birth.c", SPAWN + "label.c", SPAWN + "recipes.c"],
    depends=[SPAWN + name for name in ("birth.h", "call.h", "label.h", "recipes.h")],
)
FLAGS = ["-Wall", "-Wextra", "-Wpedantic", "-fstack-protector-strong"]
LINKS = [["-s", "-fPIE", "-static-pie"], ["-s", "-fPIE", "-pie", "-Wl,-z,relro,-z,now"]]
"""Ways to link, best first; the second needs no more than any C compiler has."""


class BuildSpawner(build_ext):
    """Compiles a program where setuptools would make a shared library."""

    def get_ext_filename(self, fullname: str) -> str:
        return os.path.join(*fullname.split("."))

    def build_extensions(self) -> None:
        """Afterwards `extensions` has what was built, which is what may be copied and counted as output."""
        self.extensions = [extension for extension in self.extensions if self.built(extension)]

    def built(self, extension: Extension) -> bool:
        program = self.get_ext_fullpath(extension.name)
        os.makedirs(os.path.dirname(program), exist_ok=True)
        compiler = shlex.split(os.environ.get("CC") or "cc")
        flags = shlex.split(os.environ.get("CFLAGS") or "-O2")
        complaint = ""
        if os.path.exists(program):
            os.unlink(program)  # of an earlier build: better none than one that no longer fits
        for link in LINKS:
            command = [*compiler, *FLAGS, *flags, *link, "-o", program, *extension.sources]
            print(shlex.join(command), flush=True)
            try:
                run = subprocess.run(command, stdin=subprocess.DEVNULL, check=False)
            except OSError as error:
                complaint = f"{compiler[0]}: {error.strerror}"
                break
            if run.returncode == 0:
                os.chmod(program, 0o755)
                return True
            complaint = f"{compiler[0]} ended with status {run.returncode}"
        warn(complaint)
        return False


class Wheel(bdist_wheel):
    """Tags the wheel for what is in it: for this machine and any Python 3 with the spawner, for any machine without."""

    def run(self) -> None:
        self.run_command("build_ext")
        if not self.get_finalized_command("build_ext").extensions:
            self.distribution.ext_modules = []
            self.root_is_pure = True
        super().run()

    def get_tag(self) -> tuple[str, str, str]:
        python, abi, machine = super().get_tag()
        return (python, abi, machine) if self.root_is_pure else ("py3", "none", machine)


def warn(complaint: str) -> None:
    """Say that there is no spawner. pip shows it with -v only; ``sentinetd --version`` and the start log say it too."""
    line = "!" * 100
    sys.stderr.write(
        f"\n{line}\nsentinetd's spawner was NOT built: {complaint}.\n"
        "The daemon will run on its fallback in Python, which makes servers at about a third of the speed.\n"
        "To build it, install a C compiler and the C library's headers (Debian: apt install gcc libc6-dev; "
        "Fedora: dnf install gcc glibc-static)\nand install sentinetd again.\n"
        f"{line}\n\n"
    )


setup(ext_modules=[SPAWNER], cmdclass={"build_ext": BuildSpawner, "bdist_wheel": Wheel})
