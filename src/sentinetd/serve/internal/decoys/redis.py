"""A Redis server (its protocol: RESP) whose default user may ask how it is, and nothing else (Redis: ACL SETUSER)."""

from __future__ import annotations

import re

from sentinetd.serve.internal.decoys.dialogue import Answer, Scene, printable

MOST_WORDS = 64
"""Words of one command."""
LONGEST = 4096
"""Bytes of one word, or of a command on one line."""
MOST_COMMANDS = 32
"""Commands that are answered."""
LONGEST_SAID = 64
"""Bytes of a word that are said again."""

NUMBER = re.compile(rb"\d{1,7}")
VERSION = b"7.0.15"
ARITY = {b"GET": 2, b"AUTH": -2, b"PING": -1, b"INFO": -1, b"QUIT": -1}
"""Words that a command has, itself included; negative: at least so many."""
KNOWN = frozenset(
    b"ACL APPEND BGSAVE CLIENT CLUSTER COMMAND CONFIG DBSIZE DEBUG DEL ECHO EVAL EXISTS EXPIRE FLUSHALL FLUSHDB HELLO "
    b"HGET HSET INCR KEYS LPUSH MGET MODULE MONITOR MSET PUBLISH REPLICAOF SAVE SCAN SELECT SET SHUTDOWN SLAVEOF "
    b"SLOWLOG SUBSCRIBE TIME TYPE".split()
)
"""Commands that the default user may not use."""


class _Malformed(Exception):
    """What came is no command; its text is what Redis says."""


class Redis:
    greeting = b""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._rest = b""
        self._commands = 0
        self._over = False

    def hear(self, data: bytes) -> Answer:
        said = b""
        self._rest += data
        while not self._over:
            try:
                taken = command(self._rest)
            except _Malformed as error:
                said += b"-ERR Protocol error: %b\r\n" % error.args[0]
                break
            if taken is None:
                return Answer(said)
            words, length = taken
            self._rest = self._rest[length:]
            self._commands += 1  # empty ones too, which Redis overlooks
            answer = self._reply(words) if words else Answer()
            said += answer.data
            self._over = answer.over or self._commands >= MOST_COMMANDS
        self._over = True
        self._rest = b""
        return Answer(said, over=True)

    def _reply(self, words: list[bytes]) -> Answer:
        name = words[0].upper()
        if name in (b"POST", b"HOST:"):  # Redis takes it for a browser that was led astray, and hangs up
            return Answer(over=True)
        arity = ARITY.get(name, 0)
        said = printable(name.lower(), LONGEST_SAID)
        if (arity > 0 and len(words) != arity) or len(words) < -arity:
            return Answer(b"-ERR wrong number of arguments for '%b' command\r\n" % said)
        if name == b"QUIT":
            return Answer(b"+OK\r\n", over=True)
        if name == b"PING":
            return Answer(b"+PONG\r\n" if len(words) == 1 else _bulk(printable(words[1], LONGEST_SAID)))
        if name == b"INFO":
            return Answer(_bulk(self._info()))
        if name == b"AUTH":
            return Answer(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n")
        if name == b"GET" or name in KNOWN:
            return Answer(b"-NOPERM User default has no permissions to run the '%b' command\r\n" % said)
        shown = b"".join(b"'%b' " % printable(word, LONGEST_SAID) for word in words[1:4])
        called = printable(words[0], LONGEST_SAID)
        return Answer(b"-ERR unknown command '%b', with args beginning with: %b\r\n" % (called, shown))

    def _info(self) -> bytes:
        run = self._scene.noise[:20].hex().encode()
        return (
            b"# Server\r\nredis_version:%b\r\nredis_git_sha1:00000000\r\nredis_git_dirty:0\r\n"
            b"redis_build_id:e8c1b6d5a1f0b5c3\r\nredis_mode:standalone\r\nos:Linux 6.1.0-18-amd64 x86_64\r\n"
            b"arch_bits:64\r\nmonotonic_clock:POSIX clock_gettime\r\nmultiplexing_api:epoll\r\ngcc_version:12.2.0\r\n"
            b"process_id:%d\r\nrun_id:%b\r\ntcp_port:6379\r\n" % (VERSION, 600 + self._scene.noise[0], run)
        )


def _bulk(data: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(data), data)


def command(data: bytes) -> tuple[list[bytes], int] | None:
    """The words of the first command in *data*, and how many bytes it has; None: not all of it has come."""
    if not data:
        return None
    if not data.startswith(b"*"):
        end = data.find(b"\n")
        if max(end, len(data) if end < 0 else 0) > LONGEST:
            raise _Malformed(b"too big inline request")
        return None if end < 0 else (data[:end].split()[:MOST_WORDS], end + 1)
    count = _number(data, 1, MOST_WORDS, b"invalid multibulk length")
    if count is None:
        return None
    words = []
    at = count[1]
    for _ in range(count[0]):
        if at >= len(data):
            return None
        if data[at : at + 1] != b"$":
            raise _Malformed(b"expected '$', got '%b'" % printable(data[at : at + 1], 1))
        size = _number(data, at + 1, LONGEST, b"invalid bulk length")
        if size is None or len(data) < size[1] + size[0] + 2:
            return None
        words.append(data[size[1] : size[1] + size[0]])
        at = size[1] + size[0] + 2
    return words, at


def _number(data: bytes, at: int, most: int, wrong: bytes) -> tuple[int, int] | None:
    """The number of up to *most* that is a line of *data* from *at* on, and where the next line begins."""
    end = data.find(b"\n", at)
    digits = data[at : end if end >= 0 else len(data)].removesuffix(b"\r")
    if not (NUMBER.fullmatch(digits) or (end < 0 and not digits)) or int(digits or b"0") > most:
        raise _Malformed(wrong)
    return None if end < 0 else (int(digits), end + 1)
