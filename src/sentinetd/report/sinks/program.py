"""A program's standard input. It runs as the courier does, without rights, and is started again when it ends."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence

from sentinetd.errors import EdgeError
from sentinetd.model.alert import ProgramTarget
from sentinetd.ports import Message
from sentinetd.report.sinks.making import Unusable

GRACE = 1.0
"""Seconds that the program has to end after its input did."""


class Program:
    """Owns the process. No shell: the words of the command are its arguments."""

    most = 200

    def __init__(self, target: ProgramTarget) -> None:
        self._command = target.command
        if shutil.which(self._command[0]) is None:
            text = f"{self._command[0]} cannot be executed by the courier's user"
            raise Unusable("command", text, "mend the name or the permissions")
        self._process: asyncio.subprocess.Process | None = None

    async def deliver(self, messages: Sequence[Message]) -> None:
        """Write *messages*, a line each, and wait until the program has taken them."""
        data = b"".join(message.text.encode("utf-8", "backslashreplace") + b"\n" for message in messages)
        try:
            process = await self._running()
            assert process.stdin is not None
            process.stdin.write(data)
            await process.stdin.drain()
        except OSError as error:
            raise EdgeError(f"{self._command[0]}: {await self._ended() or error.strerror or error}") from error
        except asyncio.CancelledError:
            await self._kill()  # how much it has read of the line is not known
            raise

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is not None:
            self._process = None
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
            assert self._process.stdin is not None
            self._process.stdin.transport.set_write_buffer_limits(high=0)  # `drain` means that it was taken
        return self._process

    async def _ended(self) -> str:
        """How the program ended; empty if there was none."""
        process = self._process
        await self._kill()
        if process is None:
            return ""
        status = process.returncode or 0
        return f"killed by signal {-status}" if status < 0 else f"it ended with status {status}"

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(GRACE):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def close(self) -> None:
        """End its input, and it if it does not end."""
        await self._kill()
