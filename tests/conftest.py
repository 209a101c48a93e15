"""Fixtures of the test rig, for every test that meets a whole daemon."""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from rig.daemon import Daemon, Kind, Work
from rig.network import Lab, temporary
from rig.probe import build

ROOT_NEEDED = "this test makes network namespaces and needs root: run `sudo make test`"
XINETD_NEEDED = "this test compares with Debian's xinetd: install it (`make test` does) or `apt-get install xinetd`"
SENTINETD_NEEDED = "sentinetd is not installed beside this Python: run `make test`, or pip install . into it"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--oracle-only", action="store_true", help="differential tests: play xinetd alone")


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The network of this worker. Tests of one worker run one after the other, so they share it."""
    if os.geteuid() != 0:
        pytest.fail(ROOT_NEEDED)
    made = Lab()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def probe() -> Iterator[Path]:
    """The probe server, compiled."""
    directory = temporary("probe")
    try:
        yield build(directory)
    finally:
        shutil.rmtree(directory)


Maker = Callable[..., Daemon]


@pytest.fixture
def make_daemon(lab: Lab) -> Iterator[Maker]:
    """Makes a daemon of a kind with a configuration, not yet started; it ends with the test, and so do its servers."""
    made: list[Daemon] = []
    works: list[Work] = []
    lab.write_etc()

    def make(kind: Kind, config: str | bytes, work: Work | None = None) -> Daemon:
        if not Path(kind.program).exists():
            pytest.fail(XINETD_NEEDED if kind is Kind.XINETD else SENTINETD_NEEDED)
        if work is None:
            work = Work()
            works.append(work)
        daemon = Daemon(kind, lab, work)
        text = config if isinstance(config, bytes) else config.replace("@WORK@", str(work.path)).encode()
        work.write("xinetd.conf", text)
        made.append(daemon)
        return daemon

    try:
        yield make
    finally:
        for daemon in made:
            daemon.close()
        lab.host.sweep()
        for daemon in made:
            print(daemon.story())
        for work in works:
            work.close()


def pytest_configure(config: pytest.Config) -> None:
    hypothesis.settings.register_profile("shared", deadline=None)  # a machine that is busy is no mistake of ours
    hypothesis.settings.load_profile("shared")
    take_signals()


def take_signals() -> None:
    """Signals 32 and 33 as at login: who was started by posix_spawn(3) may find them ignored, and xinetd inherits that.

    Only where they are ignored: the C library handles them itself once there are threads, for one to stop another and
    for setuid(2), and a process whose handler was taken away is killed by the next of those calls (nptl(7)).
    """
    sigaction = functools.partial(ctypes.CDLL(None).syscall, {"x86_64": 13}.get(os.uname().machine, 134))
    found, default = (ctypes.c_ulong * 4)(), (ctypes.c_ulong * 4)()  # struct sigaction of the kernel: first the handler
    for number in (32, 33):
        sigaction(number, None, found, 8)
        if found[0] == signal.SIG_IGN:
            sigaction(number, default, None, 8)
