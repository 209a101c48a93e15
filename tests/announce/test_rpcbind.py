"""The registrar against an rpcbind that does what the test says; the real one is met by tests/e2e/test_rpc.py."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from sentinetd.announce.rpcbind import Registrar
from sentinetd.announce.xdr import Reader, Records, unsigned
from sentinetd.model.offer import Registration

ONE = Registration(400077, 1, "tcp")
TWO = Registration(400077, 2, "tcp")
AT, ELSEWHERE = "0.0.0.0.3.4", "0.0.0.0.5.6"
NAMES = {1: "set", 2: "unset"}

Call = tuple[str, Registration, str]


class Stand:
    """Answers as rpcbind does: one address for a registration, which nobody replaces. *foreign*: those of others."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.calls: list[Call] = []
        self.table: dict[Registration, str] = {}
        self.foreign: dict[Registration, str] = {}
        self.answers: Callable[[bytes, bool], bytes] = answer
        self.before: Callable[[Call], Awaitable[None]] | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Stand:
        self._server = await asyncio.start_unix_server(self._serve, self.path)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for writer in self._open:
            writer.close()
            await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        records = Records()
        while data := await reader.read(1000):
            for record in records.feed(data):
                asked = Reader(record)
                head = [asked.unsigned() for _ in range(10)]
                what = Registration(asked.unsigned(), asked.unsigned(), asked.opaque(9).decode())
                called = (NAMES[head[5]], what, asked.opaque(99).decode())
                self.calls.append(called)
                if self.before is not None:
                    await self.before(called)
                writer.write(self.answers(record[:4], self._do(*called)))

    def _do(self, name: str, what: Registration, address: str) -> bool:
        if name == "unset":
            return self.table.pop(what, None) is not None
        if what in self.foreign:
            return False
        return self.table.setdefault(what, address) == address


def answer(number: bytes, value: bool) -> bytes:
    return unsigned(28 | 1 << 31) + number + unsigned(1) + bytes(16) + unsigned(value)


class Told:
    """What the registrar says."""

    def __init__(self) -> None:
        self.removed: list[Registration] = []
        self.taken: list[tuple[Registration, bool]] = []
        self.reached: list[str] = []

    def registrar(self, path: str, renewal: float = 3600.0) -> Registrar:
        return Registrar(
            self.removed.append,
            lambda what, taken: self.taken.append((what, taken)),
            self.reached.append,
            path,
            renewal,
        )


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def play(tmp_path: Path, scene: Callable[[Stand, Registrar, Told], Coroutine[Any, Any, None]], **more: float) -> None:
    async def whole() -> None:
        told = Told()
        async with Stand(tmp_path / "rpcbind.sock") as stand:
            registrar = told.registrar(stand.path, **more)
            task = asyncio.create_task(registrar.run())
            try:
                await scene(stand, registrar, told)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    asyncio.run(whole())


def test_what_is_offered_is_registered_and_what_is_withdrawn_removed(tmp_path: Path) -> None:
    async def scene(stand: Stand, registrar: Registrar, told: Told) -> None:
        registrar.offer(ONE, AT)
        registrar.offer(TWO, AT)
        await until(lambda: stand.table == {ONE: AT, TWO: AT})
        registrar.withdraw(ONE)
        await until(lambda: told.removed == [ONE])
        assert stand.table == {TWO: AT}
        registrar.offer(TWO, ELSEWHERE)
        await until(lambda: stand.table == {TWO: ELSEWHERE})
        await registrar.leave()
        assert stand.table == {}
        assert (told.taken, told.reached) == ([], [])

    play(tmp_path, scene)


def test_nothing_is_removed_that_was_not_made(tmp_path: Path) -> None:
    async def scene(stand: Stand, registrar: Registrar, told: Told) -> None:
        stand.foreign[ONE] = ELSEWHERE
        registrar.offer(ONE, AT)
        await until(lambda: told.taken)
        registrar.withdraw(ONE)
        await until(lambda: told.removed == [ONE])
        assert told.taken == [(ONE, False)]
        assert {name for name, _, _ in stand.calls} == {"set"}

    play(tmp_path, scene)


def test_what_another_had_is_taken_over_when_he_lets_go(tmp_path: Path) -> None:
    async def scene(stand: Stand, registrar: Registrar, told: Told) -> None:
        stand.foreign[ONE] = ELSEWHERE
        registrar.offer(ONE, AT)
        registrar.offer(TWO, AT)
        await until(lambda: stand.table == {TWO: AT} and told.taken)
        del stand.foreign[ONE]
        await until(lambda: stand.table == {ONE: AT, TWO: AT})
        assert told.taken == [(ONE, False), (ONE, True)]

    play(tmp_path, scene)


def test_what_an_earlier_process_made_is_removed_first(tmp_path: Path) -> None:
    async def scene(stand: Stand, registrar: Registrar, told: Told) -> None:
        stand.table = {ONE: ELSEWHERE, TWO: ELSEWHERE}
        registrar.withdraw(ONE)
        registrar.withdraw(TWO)
        registrar.offer(TWO, AT)
        await until(lambda: stand.table == {TWO: AT})
        await until(lambda: told.removed == [ONE])

    play(tmp_path, scene)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda registrar: registrar.withdraw(ONE), id="withdrawn"),
        pytest.param(lambda registrar: registrar.offer(ONE, ELSEWHERE), id="moved"),
    ],
)
def test_a_change_while_rpcbind_thinks_is_not_lost(change: Callable[[Registrar], None], tmp_path: Path) -> None:
    async def scene(stand: Stand, registrar: Registrar, told: Told) -> None:
        async def before(called: Call) -> None:
            stand.before = None
            change(registrar)

        stand.before = before
        registrar.offer(ONE, AT)
        await until(lambda: told.removed or stand.table == {ONE: ELSEWHERE})
        assert stand.table in ({}, {ONE: ELSEWHERE})
        assert stand.calls[:2] == [("set", ONE, AT), ("unset", ONE, "")]

    play(tmp_path, scene)


def test_what_is_refused_while_it_is_withdrawn_is_not_removed(tmp_path: Path) -> None:
    async def scene(stand: Stand, registrar: Registrar, told: Told) -> None:
        async def before(called: Call) -> None:
            registrar.withdraw(ONE)

        stand.before = before
        stand.foreign[ONE] = ELSEWHERE
        registrar.offer(ONE, AT)
        await until(lambda: told.removed == [ONE])
        assert stand.calls == [("set", ONE, AT)]

    play(tmp_path, scene)


def test_what_may_have_been_registered_is_removed(tmp_path: Path) -> None:
    """The answer did not come, or made no sense."""

    async def scene(stand: Stand, registrar: Registrar, told: Told) -> None:
        stand.answers = lambda number, value: b"\xff" * 100
        registrar.offer(ONE, AT)
        await until(lambda: told.reached)
        stand.answers = answer
        registrar.withdraw(ONE)
        await until(lambda: told.removed == [ONE])
        assert stand.table == {}

    play(tmp_path, scene)


def test_an_rpcbind_that_forgot_is_told_again(tmp_path: Path) -> None:
    async def scene(stand: Stand, registrar: Registrar, told: Told) -> None:
        registrar.offer(ONE, AT)
        await until(lambda: stand.table)
        stand.table.clear()
        await until(lambda: stand.table == {ONE: AT})
        assert told.reached == []

    play(tmp_path, scene, renewal=0.05)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        pytest.param(lambda number, value: b"\xff" * 100, "longer than", id="no record"),
        pytest.param(lambda number, value: answer(b"\0\0\0\0", value), "the reply to another call", id="another's"),
        pytest.param(lambda number, value: answer(number, value)[:-4] + unsigned(5), "a boolean", id="no boolean"),
        pytest.param(
            lambda number, value: unsigned(24 | 1 << 31) + number + unsigned(1) + bytes(12) + unsigned(2),
            "no such version",
            id="too old",
        ),
    ],
)
def test_an_answer_that_makes_no_sense_is_told_once_and_the_question_put_again(
    answers: Callable[[bytes, bool], bytes], said: str, tmp_path: Path
) -> None:
    async def scene(stand: Stand, registrar: Registrar, told: Told) -> None:
        stand.answers = answers
        registrar.offer(ONE, AT)
        await until(lambda: len(stand.calls) > 1)
        assert len(told.reached) == 1
        assert said in told.reached[0]
        stand.answers = answer
        await until(lambda: told.reached[1:] == [""])
        assert stand.table == {ONE: AT}
        registrar.withdraw(ONE)
        await until(lambda: told.removed)
        assert stand.table == {}

    play(tmp_path, scene)


def test_no_rpcbind_is_told_once(tmp_path: Path) -> None:
    async def whole() -> None:
        told = Told()
        registrar = told.registrar(str(tmp_path / "rpcbind.sock"))
        registrar.offer(ONE, AT)
        task = asyncio.create_task(registrar.run())
        await until(lambda: told.reached)
        async with Stand(tmp_path / "rpcbind.sock") as stand:
            await until(lambda: stand.table == {ONE: AT})
            await until(lambda: told.reached == ["No such file or directory", ""])
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await registrar.leave()

    asyncio.run(whole())
