"""Whatever is given to be converted, there is an answer: files, or what stands in the way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.conversion import converted, told
from sentinetd.config.syntax import parse
from sentinetd.errors import UsageError

WORDS = st.sampled_from(
    [
        "ftp", "stream", "dgram", "tcp", "tcp6", "tcp46", "udp", "rpc/tcp", "unix", "wait", "nowait", "nowait.4",
        "nowait/1/2/3", "nowait:x", "nowait/", "root", "root.mail", "root:mail", ":", "a:", "1.2.3.4:", "::1:ftp", "*:",
        "/bin/tcpd", "/bin/cat", "internal", "x/1-3", "tcpmux/+", "tcpmux/", "70000", "-1", "'a", "#", "service", "{",
        "}", "defaults", "=", "+=", "include", "FILE", "only_from", "10.0.0.0/8", "flags", "SENSOR", "port", "id", "٣",
        "rpc_number", "type", "UNLISTED", "RPC", "bind", "server", "socket_type", "user", "no", "protocol", "\udcff",
    ]
)  # fmt: skip
LINES = st.lists(st.lists(WORDS, max_size=9).map(" ".join), max_size=8).map("\n".join)
TEXTS = st.one_of(LINES.map(lambda text: text.encode("utf-8", "surrogateescape")), st.binary(max_size=200))


@pytest.mark.parametrize("to", ["xinetd", "systemd"])
@given(text=TEXTS, blank=st.sampled_from([b"", b" ", b"\t"]))
def test_any_text(to: str, text: bytes, blank: bytes) -> None:
    try:
        outcome = converted(text.replace(b"\n", b"\n" + blank), to)
    except UsageError:
        return
    assert all("\n" not in line and line.isprintable() for line in told(outcome))
    for file in outcome.files:
        assert "/" not in file.name
        assert "\0" not in file.text
        if to == "xinetd":
            parsed = parse(file.text.encode("utf-8", "surrogateescape"), file.name)
            assert not parsed.diagnostics
            assert len(parsed.statements) == 1
