"""`[[alert]]` tables: what each type becomes, and what is said of what cannot be read."""

from __future__ import annotations

import pytest

from config.machine import Machine
from sentinetd.config.toml import read_settings
from sentinetd.model.alert import (
    Alert,
    Body,
    FileTarget,
    HpfeedsTarget,
    JournalTarget,
    MailTarget,
    Option,
    PluginTarget,
    ProgramTarget,
    Security,
    Shown,
    SyslogTarget,
    Tls,
    Transport,
    WebhookTarget,
)
from sentinetd.model.events import Level
from sentinetd.model.settings import FileUse, FileWanted, Settings


def read(text: str) -> tuple[Settings, list[str]]:
    result = read_settings("s.toml", Machine({"s.toml": text.encode()}), required=False)
    return result.settings, [str(one) for one in result.diagnostics]


def alerts(text: str) -> tuple[Alert, ...]:
    settings, told = read(text)
    assert told == []
    return settings.courier.alerts


@pytest.mark.parametrize(
    ("text", "alert"),
    [
        pytest.param(
            'type = "file"\npath = "/var/log/x.json"', Alert(name="file-1", file=FileTarget(file=0)), id="file"
        ),
        pytest.param(
            'type = "syslog"\naddress = "tcp://[2001:db8::1]"',
            Alert(name="syslog-1", syslog=SyslogTarget(transport=Transport.TCP, host="2001:db8::1", port=601)),
            id="syslog by tcp",
        ),
        pytest.param(
            'type = "syslog"\naddress = "udp://logs:9"\nfacility = "local3"\nframing = "lines"',
            Alert(
                name="syslog-1",
                syslog=SyslogTarget(
                    transport=Transport.UDP, host="logs", port=9, facility="local3", octets=False
                ),
            ),
            id="syslog by udp",
        ),
        pytest.param(
            'type = "syslog"\naddress = "unix:/dev/log"',
            Alert(name="syslog-1", syslog=SyslogTarget(transport=Transport.UNIX, host="/dev/log")),
            id="syslog by a socket",
        ),
        pytest.param(
            'type = "syslog"\naddress = "tls://logs"\nca = "/c"\ncertificate = "/e"\nkey = "/k"\nserver_name = "n"',
            Alert(
                name="syslog-1",
                syslog=SyslogTarget(
                    transport=Transport.TLS,
                    host="logs",
                    port=6514,
                    tls=Tls(ca=0, certificate=1, key=2, server_name="n"),
                ),
            ),
            id="syslog by tls",
        ),
        pytest.param('type = "journal"', Alert(name="journal-1", journal=JournalTarget()), id="journal"),
        pytest.param(
            'type = "webhook"\nurl = "https://h/x?y"\nbody = "slack"\nsecret = "s"\nheaders = ["A: b"]\ndigest = "1m"',
            Alert(
                name="webhook-1",
                digest=60.0,
                webhook=WebhookTarget(url="https://h/x?y", body=Body.SLACK, secret="s", headers=("A: b",)),
            ),
            id="webhook",
        ),
        pytest.param(
            'type = "mail"\nserver = "smtp://m:26"\nfrom = "a@b"\nto = "c@d"',
            Alert(
                name="mail-1",
                digest=60.0,
                mail=MailTarget(host="m", port=26, security=Security.STARTTLS, sender="a@b", recipients=("c@d",)),
            ),
            id="mail",
        ),
        pytest.param(
            'type = "mail"\nserver = "smtps://m"\nfrom = "a@b"\nto = ["c@d", "e@f"]\nuser = "u"\npassword = "p"',
            Alert(
                name="mail-1",
                digest=60.0,
                mail=MailTarget(
                    host="m", port=465, security=Security.TLS, sender="a@b", recipients=("c@d", "e@f"), user="u",
                    password="p",
                ),
            ),
            id="mail by tls",
        ),
        pytest.param(
            'type = "program"\ncommand = ["/bin/x", "-y z"]',
            Alert(name="program-1", program=ProgramTarget(command=("/bin/x", "-y z"))),
            id="program",
        ),
        pytest.param(
            'type = "hpfeeds"\naddress = "hpfeeds+tls://b"\nident = "i"\nsecret = "s"\nchannel = "c"',
            Alert(
                name="hpfeeds-1", hpfeeds=HpfeedsTarget(host="b", port=10_000, ident="i", secret="s", channel="c")
            ),
            id="hpfeeds",
        ),
        pytest.param(
            'type = "plugin"\nplugin = "p"\noptions = { a = "b" }',
            Alert(name="plugin-1", plugin=PluginTarget(plugin="p", options=(Option("a", "b"),))),
            id="plugin",
        ),
        pytest.param(
            'type = "journal"\nname = "j"\nformat = "json"\nkinds = ["sensor.*", "ban.imposed"]\nlevel = "warning"\n'
            'services = ["irc*"]\naddresses = "hashed"\nqueue = 5\ntimeout = "2s"\nmerge = 9\nspool = "64M"',
            Alert(
                name="j",
                format="json",
                kinds=("sensor.*", "ban.imposed"),
                level=Level.WARNING,
                services=("irc*",),
                addresses=Shown.HASHED,
                queue=5,
                timeout=2.0,
                merge=9.0,
                spool=64 << 20,
                journal=JournalTarget(),
            ),
            id="what all have",
        ),
    ],
)  # fmt: skip
def test_alert(text: str, alert: Alert) -> None:
    assert alerts(f"[[alert]]\n{text}") == (alert,)


def test_files_are_numbered_over_all_tables_and_carry_what_the_guard_needs() -> None:
    settings, told = read(
        '[[alert]]\ntype = "syslog"\naddress = "tls://h"\nca = "/ca"\n'
        '[[alert]]\ntype = "file"\npath = "/x"\nrotate = "1M"\nkeep = 3\n'
    )
    assert told == []
    assert settings.files == (
        FileWanted("/ca", FileUse.READ, "alert", 0, "ca"),
        FileWanted("/x", FileUse.APPEND, "alert", 1, "path", 1 << 20, 3),
    )
    first, second = settings.courier.alerts
    assert (first.syslog and first.syslog.tls.ca, second.file) == (0, FileTarget(file=1, rotate=1 << 20))


def test_key_of_pseudonyms() -> None:
    settings, told = read('[privacy]\naddress_key = "k"')
    assert (settings.courier.address_key, told) == ("k", [])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("", "1: alert.type: an alert needs a type; one of file syslog", id="no type"),
        pytest.param('type = "fax"', "2: alert.type: 'fax' is no type; one of file", id="no such type"),
        pytest.param('type = "file"', "1: an alert of type file needs path; write path = ...", id="needs"),
        pytest.param('type = "file"\npath = "x"', "3: alert.path: x is no absolute path; write /.../x", id="relative"),
        pytest.param(
            'type = "journal"\npath = "/x"', "3: alert.path: unknown key path for type journal", id="another's key"
        ),
        pytest.param(
            'type = "journal"\nkinds = ["senor.*"]', "3: alert.kinds: senor.* is no kind of event; ", id="no kind"
        ),
        pytest.param('type = "journal"\nlevel = "loud"', "3: alert.level: 'loud' is none of debug", id="no level"),
        pytest.param('type = "journal"\nspool = "lots"', "3: alert.spool: 'lots' is no size of", id="no size"),
        pytest.param('type = "journal"\ntimeout = 0', "3: alert.timeout: 0 is no span of 0.1 to 600", id="no span"),
        pytest.param('type = "journal"\nname = "a/b"', "3: alert.name: a/b is no name for an alert", id="no name"),
        pytest.param(
            'type = "syslog"\naddress = "smoke://x"', "3: alert.address: 'smoke://x' is no address", id="no scheme"
        ),
        pytest.param(
            'type = "syslog"\naddress = "tcp://x:70000"', "3: alert.address: 70000 is no port", id="no port"
        ),
        pytest.param('type = "webhook"\nurl = "ftp://t0ken"', "3: alert.url: this is no URL", id="no URL"),
        pytest.param(
            'type = "webhook"\nurl = "https://h"\nbody = "telegram"', "1: Telegram needs to know", id="no chat"
        ),
        pytest.param(
            'type = "webhook"\nurl = "https://h"\nsecret = 5', "4: alert.secret: this is not a line of", id="secret"
        ),
        pytest.param(
            'type = "mail"\nserver = "smtp://h"\nfrom = "a"\nto = "b@c"', "4: alert.from: a is no mail", id="mailbox"
        ),
        pytest.param(
            'type = "mail"\nserver = "smtp://h"\nfrom = "a@b"\nto = "c@d"\nsecurity = "none"\npassword = "p"',
            "1: a password would go over the network unencrypted",
            id="password in clear",
        ),
        pytest.param(
            'type = "mail"\nserver = "smtps://h"\nfrom = "a@b"\nto = "c@d"\nsecurity = "none"',
            "1: smtps:// is not spoken with security none",
            id="two minds",
        ),
        pytest.param('type = "program"\ncommand = ["x"]', "3: alert.command: x is no absolute path", id="no path"),
        pytest.param(
            'type = "plugin"\nplugin = "p"\noptions = { a = 1 }', "4: alert.options: this is no table of", id="options"
        ),
    ],
)
def test_mistakes(text: str, told: str) -> None:
    settings, said = read(f"[[alert]]\n{text}\n")
    assert len(said) == 1
    assert said[0].startswith(f"s.toml:{told}")
    assert settings.courier.alerts == ()


def test_mistakes_of_all_tables_at_once_each_at_its_place() -> None:
    _, said = read('[[alert]]\ntype = "fax"\n\n[[alert]]\ntype = "journal"\nname = "!"\nqueue = 0\n')
    assert [one.partition(": ")[0] for one in said] == ["s.toml:2", "s.toml:6", "s.toml:7"]


def test_two_alerts_of_one_name() -> None:
    _, said = read('[[alert]]\ntype = "journal"\nname = "a"\n[[alert]]\ntype = "journal"\nname = "a"\n')
    assert said == ["s.toml:6: alert.name: two alerts are called a; name them apart"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("[alert]\n", "s.toml:1: alert is no array of tables; write [[alert]]", id="one table"),
        pytest.param("alert = 1\n", "s.toml:1: alert is no array of tables; write [[alert]]", id="no table"),
        pytest.param('[[alert]]\ntype = "journal"\n' * 33, "s.toml:65: 33 alerts are too many", id="too many"),
    ],
)
def test_what_is_no_array_of_tables(text: str, told: str) -> None:
    _, said = read(text)
    assert len(said) == 1
    assert said[0].startswith(told)


def test_no_secret_shows() -> None:
    target = WebhookTarget(url="https://t0ken", secret="t0ken", headers=("A: t0ken",))
    hidden = (target, MailTarget(
        host="h", port=1, security=Security.TLS, sender="a", recipients=(), password="t0ken"
    ), HpfeedsTarget(host="h", port=1, ident="i", secret="t0ken", channel="c"), Option("a", "t0ken"))  # fmt: skip
    assert "t0ken" not in repr(hidden)
