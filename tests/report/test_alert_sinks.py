"""Sinks of alerts, each against a server of its kind on loopback: what arrives, what is told, what is refused."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import re
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from report.samples import OBSERVER, TRIP
from rig.deadline import wait_for
from rig.receivers import Authority, Broker, Bytes, Http, Mailbox, Town, framed, listening, port_of
from sentinetd.errors import EdgeError
from sentinetd.model.alert import (
    Alert,
    Body,
    FileTarget,
    HpfeedsTarget,
    MailTarget,
    Option,
    PluginTarget,
    ProgramTarget,
    Security,
    SyslogTarget,
    Tls,
    Transport,
    WebhookTarget,
)
from sentinetd.model.events import Level
from sentinetd.ports import AlertSink, Message, Rejected
from sentinetd.report.sinks.making import Making, Unusable
from sentinetd.report.sinks.table import make_sink

WITHIN = 20.0


@pytest.fixture
def town() -> Iterator[Town]:
    with Town() as made:
        yield made


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def message(text: str, level: Level = Level.CRITICAL) -> Message:
    return Message(TRIP, level, text)


def making(*paths: Path, full: Callable[[int], None] | None = None) -> Making:
    """The files *paths* by their places; the test ends before their descriptors matter."""

    async def tell(number: int) -> None:
        if full is not None:
            full(number)

    flags = {path: os.O_RDWR | os.O_APPEND if path.suffix == ".log" else os.O_RDONLY for path in paths}
    return Making({place: os.open(path, flags[path]) for place, path in enumerate(paths)}, tell, lambda: OBSERVER)


def use(alert: Alert, given: Making, *work: Callable[[AlertSink], Awaitable[Any]]) -> list[Any]:
    """Make the sink of *alert*, do *work* with it, close it, and let go of the files. What each step gave or raised."""

    async def run() -> list[Any]:
        sink = make_sink(alert, given)
        for number in given.files.values():
            os.close(number)  # lent for the making only
        done: list[Any] = []
        try:
            for step in work:
                try:
                    async with asyncio.timeout(WITHIN):
                        done.append(await step(sink))
                except EdgeError as error:
                    done.append(error)
        finally:
            await sink.close()
        return done

    return asyncio.run(run())


def deliver(*texts: str) -> Callable[[AlertSink], Awaitable[None]]:
    return lambda sink: sink.deliver([message(text) for text in texts])


# Syslog.


def syslog(transport: Transport, sock: socket.socket, **more: Any) -> Alert:
    target = SyslogTarget(transport=transport, host="127.0.0.1", port=port_of(sock), **more)
    return Alert(name="x", syslog=target)


def test_syslog_by_udp_is_one_datagram_a_message() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(WITHIN)
        assert use(syslog(Transport.UDP, server), making(), deliver("one", "t\u00ebw o")) == [None]
        assert [server.recv(99), server.recv(99)] == [b"one", "t\u00ebw o".encode()]


def test_syslog_by_a_unix_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        alert = Alert(name="x", syslog=SyslogTarget(transport=Transport.UNIX, host=str(tmp_path / "log")))

        async def appear(sink: AlertSink) -> None:
            server.bind(str(tmp_path / "log"))

        failed, *rest = use(alert, making(), deliver("one"), appear, deliver("one"))
        assert "No such file" in str(failed)
        assert rest == [None, None]
        assert server.recv(99) == b"one"


@pytest.mark.parametrize(
    ("octets", "data"), [(True, b"3 one6 t\xc3\xabw o"), (False, b"one\nt\xc3\xabw o\n")], ids=["octets", "lines"]
)
def test_syslog_by_tcp(town: Town, octets: bool, data: bytes) -> None:
    server, sock = Bytes(), listening()
    town.serve(server, sock)
    use(syslog(Transport.TCP, sock, octets=octets), making(), deliver("one"), deliver("t\u00ebw o"))
    wait_for(lambda: bytes(server.data) == data, f"{data!r}, not {bytes(server.data)!r}")
    assert server.connections == 1


def test_syslog_connects_again_when_the_server_was_begun_anew(town: Town) -> None:
    server, sock = Bytes(), listening()
    town.serve(server, sock)

    async def hang_up(sink: AlertSink) -> None:
        await asyncio.to_thread(wait_for, lambda: server.data == b"3 one", "the first")
        town.loop.call_soon_threadsafe(server.writers[0].close)
        while not sink._stream._reader.at_eof():  # type: ignore[attr-defined]
            await asyncio.sleep(0)

    assert use(syslog(Transport.TCP, sock), making(), deliver("one"), hang_up, deliver("two")) == [None] * 3
    wait_for(lambda: bytes(server.data) == b"3 one3 two", "the second")
    assert server.connections == 2


def test_syslog_to_a_port_where_nobody_is() -> None:
    sock = listening()
    alert = syslog(Transport.TCP, sock)
    sock.close()
    (error,) = use(alert, making(), deliver("one"))
    assert str(error) == f"127.0.0.1:{alert.syslog.port}: Connect call failed ('127.0.0.1', {alert.syslog.port})"  # type: ignore[union-attr]


def test_syslog_by_tls_looks_at_the_certificate(town: Town, authority: Authority) -> None:
    server, sock = Bytes(), listening()
    town.serve(server, sock, authority.server())
    names = ("", "logs.example.test", "other.test")
    cases = [*((authority.ca, name) for name in names), (authority.stranger, "")]
    outcomes = []
    for ca, name in cases:
        alert = syslog(Transport.TLS, sock, tls=Tls(ca=0, server_name=name))
        outcomes += use(alert, making(ca), deliver("secret"))
    assert outcomes[:2] == [None, None]
    assert re.search(r"not trusted: Hostname mismatch", str(outcomes[2]))
    assert re.search(r"not trusted: .*(self-signed|unable to get)", str(outcomes[3]))
    wait_for(lambda: list(framed(bytes(server.data))) == ["secret", "secret"], "two messages")


def test_syslog_by_tls_shows_its_own_certificate(town: Town, authority: Authority) -> None:
    server, sock, context = Bytes(), listening(), authority.server()
    context.verify_mode = __import__("ssl").CERT_REQUIRED
    context.load_verify_locations(authority.ca)
    town.serve(server, sock, context)
    alert = syslog(Transport.TLS, sock, tls=Tls(ca=0, certificate=1, key=2))
    assert use(alert, making(authority.ca, authority.certificate, authority.key), deliver("x")) == [None]
    wait_for(lambda: server.data == b"1 x", "it")


@pytest.mark.parametrize(
    ("tls", "key", "text"),
    [
        pytest.param(Tls(ca=2), "ca", "no certificates can be read there", id="no certificate"),
        pytest.param(Tls(certificate=1), "key", "a certificate and its key go together", id="no key"),
        pytest.param(Tls(certificate=0, key=1), "certificate", "KEY_VALUES_MISMATCH", id="another's key"),
        pytest.param(Tls(certificate=2, key=1), "certificate", "it cannot be used with the key", id="no PEM"),
    ],
)
def test_bad_certificates_are_refused(authority: Authority, tmp_path: Path, tls: Tls, key: str, text: str) -> None:
    (tmp_path / "none").write_bytes(b"nothing of the kind")
    alert = Alert(name="x", syslog=SyslogTarget(transport=Transport.TLS, host="h", port=1, tls=tls))
    given = making(authority.ca, authority.key, tmp_path / "none")
    with pytest.raises(Unusable, match=text) as caught:
        make_sink(alert, given)
    assert caught.value.key == key
    for number in given.files.values():
        os.close(number)


def test_a_key_with_a_password_does_not_ask_at_the_terminal(authority: Authority, tmp_path: Path) -> None:
    from rig.network import run

    run("openssl", "ec", "-in", str(authority.key), "-aes256", "-passout", "pass:x", "-out", str(tmp_path / "key"))
    given = making(authority.certificate, tmp_path / "key")
    with pytest.raises(Unusable, match="password"):
        make_sink(
            Alert(name="x", syslog=SyslogTarget(transport=Transport.TLS, host="h", tls=Tls(certificate=0, key=1))),
            given,
        )
    for number in given.files.values():
        os.close(number)


# Webhooks.


def webhook(sock: socket.socket, **more: Any) -> Alert:
    return Alert(name="x", webhook=WebhookTarget(url=f"http://127.0.0.1:{port_of(sock)}/hook?a=b", **more))


def test_webhook_posts_events_as_the_json_they_are(town: Town) -> None:
    server, sock = Http(), listening()
    town.serve(server, sock)
    alert = webhook(sock, headers=("Authorization: Bearer t0ken",))
    assert use(alert, making(), deliver('{"kind":"x"}', "plain")) == [None]
    ((first, headers, body),) = server.requests
    assert first == "POST /hook?a=b HTTP/1.1"
    assert json.loads(body) == {"version": 1, "events": [{"kind": "x"}, "plain"]}
    assert (headers["content-type"], headers["authorization"]) == ("application/json", "Bearer t0ken")
    assert "x-sentinetd-signature" not in headers


@pytest.mark.parametrize(
    ("text", "kind"),
    [('{"a":1}', "application/json"), ("<a/>", "text/xml"), ("a", "text/plain; charset=utf-8")],
    ids=["json", "xml", "text"],
)
def test_a_bare_webhook_posts_each_event_by_itself_as_it_is(town: Town, text: str, kind: str) -> None:
    server, sock = Http(), listening()
    town.serve(server, sock)
    alert = webhook(sock, body=Body.BARE)
    use(alert, making(), deliver(text))
    ((_, headers, body),) = server.requests
    assert (body.decode(), headers["content-type"]) == (text, kind)
    assert make_sink(alert, making()).most == 1


def test_webhook_signs_moment_and_body(town: Town) -> None:
    server, sock = Http(), listening()
    town.serve(server, sock)
    use(webhook(sock, secret="s3cret"), making(), deliver("one"))
    ((_, headers, body),) = server.requests
    moment, signature = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", headers["x-sentinetd-signature"]).groups()  # type: ignore[union-attr]
    assert signature == hmac.new(b"s3cret", moment.encode() + b"." + body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(Body.SLACK, {"text": "a &lt;b&gt; &amp;\nc", "mrkdwn": False}, id="slack"),
        pytest.param(
            Body.TELEGRAM,
            {"chat_id": "42", "text": "a <b> &\nc", "link_preview_options": {"is_disabled": True}},
            id="telegram",
        ),
    ],
)
def test_bodies_for_people(town: Town, body: Body, expected: Any) -> None:
    server, sock = Http(), listening()
    town.serve(server, sock)
    use(webhook(sock, body=body, chat="42"), making(), deliver("a <b> &", "c"))
    assert json.loads(server.requests[0][2]) == expected


def test_body_for_teams_is_a_card_in_which_nothing_is_obeyed(town: Town) -> None:
    server, sock = Http(), listening()
    town.serve(server, sock)
    use(webhook(sock, body=Body.TEAMS), making(), deliver("[x](http://evil) *b*"))
    body = json.loads(server.requests[0][2])
    (attachment,) = body["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    (block,) = attachment["content"]["body"]
    assert block["text"] == r"\[x\]\(http://evil\) \*b\*"
    assert (block["color"], attachment["content"]["type"]) == ("attention", "AdaptiveCard")


def test_many_lines_for_people_are_cut_and_say_so(town: Town) -> None:
    server, sock = Http(), listening()
    town.serve(server, sock)
    use(webhook(sock, body=Body.SLACK), making(), deliver(*("x" * 100 for _ in range(150))))
    lines = json.loads(server.requests[0][2])["text"].split("\n")
    assert lines[-1] == f"... and {150 - len(lines) + 1} more"
    assert 20 < len(lines) < 40


@pytest.mark.parametrize("answer", [400, 401, 404, 413, 422, 429, 500, 503, 302])
def test_what_a_server_answers(town: Town, answer: int) -> None:
    server, sock = Http(answer), listening()
    town.serve(server, sock)
    (error,) = use(webhook(sock), making(), deliver("one"))
    assert str(error) == f"127.0.0.1 answered {answer} Whatever"
    assert isinstance(error, Rejected) == (answer in (400, 413, 422))


def test_webhook_to_nobody() -> None:
    sock = listening()
    alert = webhook(sock)
    sock.close()
    (error,) = use(alert, making(), deliver("one"))
    assert str(error).startswith("127.0.0.1: ")


# Mail.


def mail(sock: socket.socket, security: Security, **more: Any) -> Alert:
    address = {"host": "127.0.0.1", "port": port_of(sock), "recipients": ("a@x.test", "b@x.test")}
    target = MailTarget(security=security, sender="s@example.test", **address, **more)
    return Alert(name="x", mail=target)


def test_mail_is_one_message_with_all_events(town: Town) -> None:
    sock = listening()
    box = Mailbox(town, sock)
    assert use(mail(sock, Security.NONE), making(), deliver("one", "tw\u00f6\r.\rforged: x")) == [None]
    ((sender, recipients, got),) = box.mails
    assert (sender, recipients) == ("s@example.test", ["a@x.test", "b@x.test"])
    assert got["Subject"] == f"sentinetd on {os.uname().nodename}: 2 events"
    assert got["Auto-Submitted"] == "auto-generated"
    assert got.get_payload(decode=True).decode().split() == ["one", "tw\u00f6", ".", "forged:", "x"]


def test_mail_by_starttls_and_what_is_not_trusted(town: Town, authority: Authority) -> None:
    sock = listening()
    box = Mailbox(town, sock, authority.server())
    trusted = mail(sock, Security.STARTTLS, tls=Tls(ca=0), subject="Sensors")
    assert use(trusted, making(authority.ca), deliver("one")) == [None]
    (error,) = use(trusted, making(authority.stranger), deliver("two"))
    assert "certificate" in str(error).lower()
    assert [got["Subject"] for _, _, got in box.mails] == ["Sensors"]


def test_mail_never_goes_in_clear_where_it_should_not(town: Town) -> None:
    sock = listening()
    box = Mailbox(town, sock)
    (error,) = use(mail(sock, Security.STARTTLS), making(), deliver("one"))
    assert "STARTTLS" in str(error)
    assert box.mails == []


@pytest.mark.parametrize(("answer", "rejected"), [("451 later", False), ("554 no", True), ("550 no", False)])
def test_mail_that_the_server_does_not_take(town: Town, answer: str, rejected: bool) -> None:
    sock = listening()
    box = Mailbox(town, sock)
    box.answer = answer
    (error,) = use(mail(sock, Security.NONE), making(), deliver("one"))
    assert str(error) == f"127.0.0.1 answered {answer}"
    assert isinstance(error, Rejected) == rejected


# Programs.


def test_program_gets_lines_and_the_end_of_its_input(tmp_path: Path) -> None:
    script = f"import sys; open({str(tmp_path / 'out')!r}, 'w').write(repr(list(sys.stdin)) + repr(sys.argv[1:]))"
    alert = Alert(name="x", program=ProgramTarget(command=(sys.executable, "-c", script, "$HOME; rm -rf")))
    assert use(alert, making(), deliver("one", "two"), deliver("three")) == [None, None]
    assert (tmp_path / "out").read_text() == repr(["one\n", "two\n", "three\n"]) + repr(["$HOME; rm -rf"])


def test_program_that_ends_is_told_and_started_again(tmp_path: Path) -> None:
    script = f"import sys; line = sys.stdin.readline(); open({str(tmp_path / 'out')!r}, 'a').write(line); sys.exit(3)"
    alert = Alert(name="x", program=ProgramTarget(command=(sys.executable, "-c", script)))

    async def ended(sink: AlertSink) -> None:
        await sink._process.wait()  # type: ignore[attr-defined]

    assert use(alert, making(), deliver("one"), ended, deliver("two")) == [None] * 3
    assert (tmp_path / "out").read_text() == "one\ntwo\n"


def test_program_that_reads_nothing_is_left_when_time_is_up() -> None:
    alert = Alert(name="x", program=ProgramTarget(command=(sys.executable, "-c", "import time; time.sleep(600)")))
    pids = []

    async def impatient(sink: AlertSink) -> str:
        try:
            async with asyncio.timeout(0.5):
                await sink.deliver([message("x" * 200_000)])
        except TimeoutError:
            return "gave up"
        finally:
            pids.append(sink._process)  # type: ignore[attr-defined]
        return "delivered"

    assert use(alert, making(), impatient) == ["gave up"]
    assert pids == [None], "and killed"


def test_program_that_is_none_is_refused() -> None:
    with pytest.raises(Unusable, match="cannot be executed"):
        make_sink(Alert(name="x", program=ProgramTarget(command=("/no/such",))), making())


# hpfeeds.


def hpfeeds(sock: socket.socket, secret: str = "s", **more: Any) -> Alert:
    target = HpfeedsTarget(
        host="127.0.0.1", port=port_of(sock), ident="id", secret=secret, channel="sentinetd.events", **more
    )
    return Alert(name="x", hpfeeds=target)


def test_hpfeeds_publishes(town: Town) -> None:
    broker, sock = Broker("id", "s"), listening()
    town.serve(broker, sock)
    assert use(hpfeeds(sock, encrypted=False), making(), deliver("{}", "two"), deliver("3")) == [None, None]
    wait_for(lambda: len(broker.published) == 3, "three")
    assert broker.published == [("id", "sentinetd.events", one) for one in (b"{}", b"two", b"3")]


def test_hpfeeds_with_a_wrong_secret_is_told(town: Town) -> None:
    broker, sock = Broker("id", "other"), listening()
    town.serve(broker, sock)
    (error,) = use(hpfeeds(sock, encrypted=False), making(), deliver("{}"))
    assert str(error) == "the broker refused us: accessfail"
    assert broker.published == []


def test_hpfeeds_by_tls(town: Town, authority: Authority) -> None:
    broker, sock = Broker("id", "s"), listening()
    town.serve(broker, sock, authority.server())
    assert use(hpfeeds(sock, tls=Tls(ca=0)), making(authority.ca), deliver("{}")) == [None]
    wait_for(lambda: broker.published, "it")
    (error,) = use(hpfeeds(sock, tls=Tls(ca=0)), making(authority.stranger), deliver("{}"))
    assert "not trusted" in str(error)


# Files.


def test_file_asks_for_a_new_one_and_loses_nothing(tmp_path: Path) -> None:
    first, second = tmp_path / "a.log", tmp_path / "b.log"
    first.touch()
    second.touch()
    asked: list[int] = []

    async def reopen(sink: AlertSink) -> None:
        number = os.open(second, os.O_WRONLY | os.O_APPEND)
        sink.reopen(7, number)  # type: ignore[attr-defined]
        sink.reopen(0, number)  # type: ignore[attr-defined]
        os.close(number)

    alert = Alert(name="x", file=FileTarget(file=0, rotate=9))
    given = making(first, full=asked.append)
    use(alert, given, deliver("one", "two"), deliver("3"), deliver("4"), reopen, deliver("5"))
    assert (first.read_text(), second.read_text(), asked) == ("one\ntwo\n3\n4\n", "5\n", [0])


def test_full_disk_fails_whole() -> None:
    full = Path("/dev/full")
    given = Making({0: os.open(full, os.O_WRONLY)}, making().full, lambda: OBSERVER)
    (error,) = use(Alert(name="x", file=FileTarget(file=0)), given, deliver("one"))
    assert str(error) == "it cannot be written: No space left on device"


# Sinks of others.

PLUGIN = """
from sentinetd.errors import EdgeError

class Sink:
    most = 3
    def __init__(self, options):
        if options.get("bad"):
            raise KeyError("no such option")
        self.path = options["path"]
    async def deliver(self, messages):
        if messages[0].text == "bug":
            raise ZeroDivisionError("oops")
        with open(self.path, "a") as file:
            file.write("".join(f"{message.event.kind} {message.text}\\n" for message in messages))
    async def close(self):
        with open(self.path, "a") as file:
            file.write("closed\\n")
"""


@pytest.fixture
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "paper_boy.py").write_text(PLUGIN)
    info = tmp_path / "paper_boy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: paper-boy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sentinetd.sinks]\npaper = paper_boy:Sink\n")
    monkeypatch.syspath_prepend(tmp_path)


def plugin(name: str = "paper", **options: str) -> Alert:
    given = tuple(Option(key, value) for key, value in options.items())
    return Alert(name="x", plugin=PluginTarget(plugin=name, options=given))


@pytest.mark.usefixtures("_installed")
def test_a_sink_that_another_distribution_brings(tmp_path: Path) -> None:
    done = use(plugin(path=str(tmp_path / "out")), making(), deliver("one"), deliver("bug"))
    assert (done[0], str(done[1])) == (None, "paper_boy:Sink: ZeroDivisionError: oops")
    assert (tmp_path / "out").read_text() == "sensor.tripped one\nclosed\n"


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize(
    ("alert", "key", "text"),
    [
        pytest.param(plugin("other"), "plugin", "no sink other is installed; known: paper", id="not installed"),
        pytest.param(plugin(bad="x"), "options", "paper_boy:Sink: KeyError: 'no such option'", id="bad options"),
    ],
)
def test_a_foreign_sink_that_cannot_be_made(alert: Alert, key: str, text: str) -> None:
    with pytest.raises(Unusable) as caught:
        make_sink(alert, making())
    assert (caught.value.key, caught.value.text) == (key, text)


def test_every_type_of_alert_has_a_sink() -> None:
    from sentinetd.model.alert import TYPES
    from sentinetd.report.sinks.table import SINKS

    assert tuple(SINKS) == TYPES


