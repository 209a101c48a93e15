"""Whatever comes over the socket, the spawner lives, leaks nothing and does the next order. The C one is run with the
compiler's sanitizers, which end it at the first access out of bounds."""

from __future__ import annotations

import errno
import os
import random
import select
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sentinetd.spawn import protocol, spawner
from sentinetd.spawn.protocol import HEADER, LAUNCH, MORE, TEACH, Launched, LaunchFailed, Reply
from sentinetd.spawn.recipe import MAX_SIZE, Recipe
from sentinetd.spawn.spawner import Backend, start
from spawn.guard import WITHIN, descriptors

SOURCES = Path(__file__).resolve().parents[2] / "src/sentinetd/spawn"
SANITIZED = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
OPTIONS = 'const char *__asan_default_options(void) { return "detect_leaks=0"; }\n'  # the leak check needs ptrace(2)
RECIPE = Recipe("/bin/true", ("true", "-x"), ("A=1", "B=2"), os.getuid(), os.getgid(), (4,), 0o22, 1, ((7, 64), (0, 9)))


@pytest.fixture(scope="session")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C spawner, built so that it dies of its mistakes."""
    if shutil.which("cc") is None:
        pytest.skip("the C spawner's test needs a C compiler: apt-get install gcc libc6-dev")
    directory = tmp_path_factory.mktemp("sanitized")
    (directory / "options.c").write_text(OPTIONS)
    program = directory / "sentinetd-spawner"
    sources = [str(SOURCES / name) for name in ("spawner.c", "birth.c", "label.c", "recipes.c")]
    subprocess.run(["cc", *SANITIZED, "-o", program, directory / "options.c", *sources], check=True)
    return program


class Peer:
    """The raw end of a spawner's socket."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self.connection = connection
        self.pid = pid
        self.replies: list[Reply] = []

    def send(self, message: bytes, passed: list[int] | None = None) -> None:
        """Send, and read what is said meanwhile: who does not listen is not heard."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack(f"={len(passed)}i", *passed))] if passed else []
        while True:
            self.listen(0.0)
            try:
                self.connection.sendmsg([message], rights)
            except BlockingIOError:
                select.select([self.connection], [self.connection], [], WITHIN)
            else:
                return

    def listen(self, seconds: float) -> bool:
        """Read replies and reap servers; False if *seconds* bring none."""
        if not select.select([self.connection], [], [], seconds)[0]:
            return False
        reply = protocol.read_reply(self.connection.recv(100))
        self.replies.append(reply)
        return True

    def answer(self, order: int) -> Reply:
        while True:
            for reply in self.replies:
                if reply.order == order:
                    return reply
            assert self.listen(WITHIN), f"no answer to order {order}"

    def alive(self) -> None:
        """It makes a server, by a recipe of which it never heard before, and has kept no descriptor."""
        order = 2**64 - 7
        self.send(HEADER.pack(protocol.FORGET, 9, 0))
        for piece in protocol.teach(9, RECIPE.encode()):
            self.send(piece)
        with socket.socket() as served:
            self.send(HEADER.pack(LAUNCH, 9, order), [served.fileno()])
        assert isinstance(self.answer(order), Launched)
        self.send(HEADER.pack(LAUNCH, 9, order + 1))
        assert self.answer(order + 1) == LaunchFailed(order + 1, errno.EBADMSG)
        assert set(descriptors(self.pid)) == {0, 1, 2, 3}


@pytest.fixture
def peer(backend: Backend, request: pytest.FixtureRequest) -> Iterator[Peer]:
    if backend is Backend.C:
        program = str(request.getfixturevalue("sanitized"))
        ours, pid = start(program, ["sentinetd-spawner", protocol.VERSION], {})
    else:
        root = str(SOURCES.parents[1])
        ours, pid = start(sys.executable, [sys.executable, "-I", "-S", "-c", spawner._FALLBACK, root], os.environ)
    made = Peer(ours, pid)
    with ours:
        yield made
        made.alive()
    servers = {reply.pid for reply in made.replies if isinstance(reply, Launched)}
    for server in servers:
        os.waitpid(server, 0)
    assert os.waitpid(pid, 0) == (pid, 0)


ENCODED = RECIPE.encode()


def teaching(change: Callable[[bytearray], object]) -> list[bytes]:
    """The messages that teach a recipe whose bytes were changed."""
    changed = bytearray(ENCODED)
    change(changed)
    return list(protocol.teach(9, bytes(changed)))


def put(offset: int, value: int) -> Callable[[bytearray], object]:
    return lambda changed: struct.pack_into("=I", changed, offset, value)


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([b"x"], id="less than a header"),
        pytest.param([b"\0" * (HEADER.size + protocol.PIECE + 1)], id="longer than a message may be"),
        pytest.param([HEADER.pack(99, 9, 0)], id="unknown kind"),
        pytest.param([HEADER.pack(TEACH, 9, 0)], id="an empty recipe"),
        pytest.param([HEADER.pack(TEACH, 9, MAX_SIZE + 1) + b"x"], id="a recipe too long"),
        pytest.param([HEADER.pack(TEACH, 9, 2**64 - 1) + b"x"], id="a recipe beyond any length"),
        pytest.param([HEADER.pack(TEACH, 9, 3) + ENCODED], id="more than was announced"),
        pytest.param([HEADER.pack(TEACH, 9, len(ENCODED)) + ENCODED[:-1]], id="less than was announced"),
        pytest.param([HEADER.pack(MORE, 9, 0) + ENCODED], id="no beginning"),
        pytest.param(
            [HEADER.pack(TEACH, 9, len(ENCODED)) + ENCODED[:9], HEADER.pack(MORE, 9, 10) + ENCODED[9:]], id="a gap"
        ),
        pytest.param(
            [HEADER.pack(TEACH, 9, len(ENCODED)) + ENCODED[:9], HEADER.pack(MORE, 8, 9) + ENCODED[9:]], id="another's"
        ),
        pytest.param([HEADER.pack(TEACH, 9, 39) + ENCODED[:39]], id="less than a head"),
        pytest.param([HEADER.pack(TEACH, 9, 40) + ENCODED[:40]], id="a head alone"),
        pytest.param(teaching(lambda changed: changed.pop()), id="the last zero byte missing"),
        pytest.param(teaching(lambda changed: changed.append(0)), id="a text too many"),
        pytest.param(teaching(put(4, 2**32 - 1)), id="a user that means no change"),
        pytest.param(teaching(put(8, 2**32 - 1)), id="a group that means no change"),
        pytest.param(teaching(put(12, 0o1000)), id="umask"),
        pytest.param(teaching(put(16, 41)), id="nice"),
        pytest.param(teaching(put(20, 17)), id="too many limits"),
        pytest.param(teaching(put(20, 2**32 - 1)), id="limits beyond the end"),
        pytest.param(teaching(put(24, 5000)), id="groups beyond the end"),
        pytest.param(teaching(put(24, 2**32 - 1)), id="groups beyond any length"),
        pytest.param(teaching(put(28, 0)), id="no arguments"),
        pytest.param(teaching(put(28, 2**32 - 1)), id="arguments beyond any length"),
        pytest.param(teaching(put(32, 2**32 - 1)), id="variables beyond any length"),
        pytest.param(teaching(put(32, 3)), id="a variable too many"),
        pytest.param(teaching(put(48, 16)), id="no such limit"),
        pytest.param(teaching(put(44, 2**31)), id="a limit beyond 63 bits"),
        pytest.param(teaching(put(72, 2**32 - 1)), id="a supplementary group that means no change"),
    ],
)
def test_no_recipe(peer: Peer, messages: list[bytes]) -> None:
    """Nothing is learnt from it, and what was known by that number is known no more unless the number never came."""
    for message in messages:
        peer.send(message)
    with socket.socket() as served:
        peer.send(HEADER.pack(LAUNCH, 9, 1), [served.fileno()])
    assert peer.answer(1) == LaunchFailed(1, errno.ENOENT)


@pytest.mark.parametrize(
    ("payload", "passed"),
    [
        pytest.param(b"192.0.2.1", 0, id="no descriptor"),
        pytest.param(b"192.0.2.1", 2, id="two descriptors"),
        pytest.param(b"h" * 256, 1, id="a host too long"),
        pytest.param(b"192.0.2.1\0X=1", 1, id="a zero byte in the host"),
    ],
)
def test_no_launch(peer: Peer, payload: bytes, passed: int) -> None:
    """It is refused with a reason, and its descriptors are not kept."""
    for piece in protocol.teach(9, ENCODED):
        peer.send(piece)
    with socket.socket() as served:
        peer.send(HEADER.pack(LAUNCH, 9, 1) + payload, [served.fileno()] * passed)
    answer = peer.answer(1)
    if passed == 2:
        assert isinstance(answer, Launched)  # by the first; the kernel let go of the other
    else:
        assert answer == LaunchFailed(1, errno.EBADMSG)


def test_a_teaching_that_breaks_off(peer: Peer) -> None:
    """A new beginning ends it, and the old recipe of its number does not come back."""
    for piece in protocol.teach(9, ENCODED):
        peer.send(piece)
    peer.send(HEADER.pack(TEACH, 9, 5000) + ENCODED)
    for piece in protocol.teach(8, ENCODED):
        peer.send(piece)
    peer.send(HEADER.pack(MORE, 9, len(ENCODED)) + bytes(5000 - len(ENCODED)))
    with socket.socket() as served:
        peer.send(HEADER.pack(LAUNCH, 8, 1), [served.fileno()])
        peer.send(HEADER.pack(LAUNCH, 9, 2), [served.fileno()])
    assert isinstance(peer.answer(1), Launched)
    assert peer.answer(2) == LaunchFailed(2, errno.ENOENT)


@pytest.mark.parametrize("seed", range(8))
def test_noise(peer: Peer, seed: int) -> None:
    """Random bytes, and true messages with a few bytes changed, descriptors on any of them."""
    chance = random.Random(seed)
    true = [*protocol.teach(9, ENCODED), *protocol.teach(9, Recipe("/bin/true", ("x" * 40_000,)).encode())]
    true += [HEADER.pack(LAUNCH, 9, 1) + b"192.0.2.1", HEADER.pack(protocol.FORGET, 9, 0)]
    with socket.socket() as served:
        for _ in range(1500):
            message = bytearray(chance.choice(true))
            match chance.randrange(4):
                case 0:
                    message = bytearray(chance.randbytes(chance.choice([1, 15, 16, 40, 200, 20_000])))
                case 1:
                    for _ in range(chance.randrange(1, 5)):
                        message[chance.randrange(min(len(message), 200))] = chance.choice([0, 1, 2, 255])
                case 2:
                    del message[chance.randrange(1, len(message)) :]
            peer.send(bytes(message), [served.fileno()] * chance.choice([0, 1, 1, 3]))
