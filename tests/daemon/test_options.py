"""The command line: xinetd's words, the long forms, what cannot be understood."""

from __future__ import annotations

import pytest

from sentinetd.daemon.options import TABLE, Options, help_text, parse
from sentinetd.errors import UsageError


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param([], Options(), id="nothing asks for nothing"),
        pytest.param(["-f", "x.conf"], Options(config="x.conf"), id="xinetd's way"),
        pytest.param(["--config", "x.conf"], Options(config="x.conf"), id="long form, value in the next word"),
        pytest.param(["--config=x.conf"], Options(config="x.conf"), id="long form, value joined"),
        pytest.param(["-f", "a", "-f", "b"], Options(config="b"), id="the last of a repeated option wins"),
        pytest.param(["-dontfork"], Options(foreground=True, stay_alive=True), id="dontfork stays alive"),
        pytest.param(["-limit", "12"], Options(limit=12), id="limit"),
        pytest.param(["-limit", "0"], Options(limit=None), id="a limit of 0 is none"),
        pytest.param(["-limit", "-3"], Options(limit=None), id="a limit below 0 is none"),
        pytest.param(["-limit", " +12"], Options(limit=12), id="a limit as strtoull(3) takes it"),
        pytest.param(["-cc", "30"], Options(check_interval=30), id="consistency check"),
        pytest.param(["-filelog", "l", "-pidfile", "p"], Options(log_file="l", pid_file="p"), id="files"),
        pytest.param(["-version", "stray"], Options(version="-version"), id="nothing is looked at after -version"),
        pytest.param(["-reuse"], Options(notes=("option -reuse has no effect",)), id="without effect in xinetd too"),
        pytest.param(
            ["-shutdownprocs", "3"], Options(notes=("option -shutdownprocs has no effect",)), id="its value is taken"
        ),
        pytest.param(
            ["-inetd_ipv6", "-d"],
            Options(debug=True, notes=("unknown option -inetd_ipv6 is ignored; --help lists what there is",)),
            id="unknown switches of old start scripts are passed over, and told",
        ),
    ],
)
def test_understood(words: list[str], expected: Options) -> None:
    assert parse(words) == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["stray"], "'stray' is not an option", id="a stray word"),
        pytest.param(["-"], "'-' is not an option", id="a lone dash"),
        pytest.param(["-f"], "-f needs a value", id="value missing"),
        pytest.param(["-limit", "many"], "-limit needs a number, not 'many'", id="no number"),
        pytest.param(["-cc", "-3"], "-cc needs a number of seconds greater than 0", id="negative interval"),
        pytest.param(["-limit", "+"], "-limit needs a number, not '+'", id="a sign alone"),
        pytest.param(["-limit", "9" * 30], f"-limit needs a smaller number than {'9' * 30}", id="too large a number"),
        pytest.param(["-cc", "0"], "-cc needs a number of seconds greater than 0", id="an endless timer"),
        pytest.param(["--foreground=yes"], "--foreground takes no value", id="value for a switch"),
        pytest.param(["--spawner", "rust"], "'rust' is neither c nor python", id="unknown spawner"),
        pytest.param(["-syslog", "daemon", "-filelog", "x"], "exclude each other", id="two logs"),
    ],
)
def test_refused(words: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=None) as error:
        parse(words)
    assert said in str(error.value)


def test_help_names_every_option() -> None:
    text = help_text("sentinetd")
    for option in TABLE:
        assert option.long in text
        assert option.doc in text
