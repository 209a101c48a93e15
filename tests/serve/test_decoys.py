"""Every decoy: its bytes in, its bytes out, whatever the pieces; and what none of them may do."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinetd.model.values import Decoy
from sentinetd.serve.internal.decoys import ssh
from sentinetd.serve.internal.decoys.dialogue import NOISE, Scene
from sentinetd.serve.internal.decoys.http import LONGEST_HEAD, WELCOME, date
from sentinetd.serve.internal.decoys.table import DECOYS

SCENE = Scene("gw.example", "192.0.2.9", 1795422817.25, bytes(range(1, NOISE + 1)))
CHALLENGE = SCENE.noise[:16]


def talk(decoy: Decoy, said: Sequence[bytes]) -> tuple[bytes, bool]:
    """What *decoy* says to the pieces *said* after its greeting, until it is over."""
    dialogue = DECOYS[decoy](SCENE)
    heard = b""
    for piece in said:
        answer = dialogue.hear(piece)
        heard += answer.data
        if answer.over:
            return heard, True
    return heard, False


def test_there_is_one_for_every_name() -> None:
    assert DECOYS.keys() == set(Decoy)


@pytest.mark.parametrize(
    ("decoy", "greeting"),
    [
        (Decoy.FTP, b"220 (vsFTPd 3.0.3)\r\n"),
        (Decoy.SSH, b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"),
        (Decoy.TELNET, b"\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23\xff\xfd\x27"),
        (Decoy.SMTP, b"220 gw.example ESMTP Postfix (Debian/GNU)\r\n"),
        (Decoy.POP3, b"+OK Dovecot ready.\r\n"),
        (Decoy.HTTP, b""),
        (Decoy.REDIS, b""),
        (Decoy.VNC, b"RFB 003.008\n"),
        (Decoy.RDP, b""),
    ],
)
def test_greeting(decoy: Decoy, greeting: bytes) -> None:
    assert DECOYS[decoy](SCENE).greeting == greeting


LOGIN = b"\r\nLogin incorrect\r\n"
NO = b"NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"
BAD = b"BAD Error in IMAP command received by server.\r\n"
LINES = [
    pytest.param(
        Decoy.FTP,
        b"USER root\r\nPASS toor\r\nPASS toor\r\nSYST\r\nFEAT x\r\nOPTS UTF8 ON\n\r\nQUIT\r\n",
        b"331 Please specify the password.\r\n530 Login incorrect.\r\n503 Login with USER first.\r\n"
        b"530 Please login with USER and PASS.\r\n211-Features:\r\n EPRT\r\n EPSV\r\n MDTM\r\n PASV\r\n REST STREAM\r\n"
        b" SIZE\r\n TVFS\r\n211 End\r\n501 Option not understood.\r\n530 Please login with USER and PASS.\r\n"
        b"221 Goodbye.\r\n",
        True,
        id="ftp",
    ),
    pytest.param(
        Decoy.FTP,
        3 * b"user a\r\npass b\r\n",
        3 * b"331 Please specify the password.\r\n530 Login incorrect.\r\n",
        True,
        id="ftp, three logins",
    ),
    pytest.param(Decoy.FTP, b"x" * 4097, b"500 Input line too long.\r\n", True, id="ftp, an endless line"),
    pytest.param(
        Decoy.SMTP,
        b"HELO\r\nHELO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c\x1b@d>\r\nDATA\r\nRSET\r\nDATA\r\nRCPT TO:<c@d>\r\n"
        b"VRFY root\r\nSTARTTLS\r\nNOOP\r\nx\r\n\r\nQUIT\r\n",
        b"501 Syntax: HELO hostname\r\n250 gw.example\r\n250 2.1.0 Ok\r\n454 4.7.1 <c?@d>: Relay access denied\r\n"
        b"554 5.5.1 Error: no valid recipients\r\n250 2.0.0 Ok\r\n503 5.5.1 Error: need RCPT command\r\n"
        b"503 5.5.1 Error: need MAIL command\r\n252 2.0.0 root\r\n502 5.5.1 Error: command not implemented\r\n"
        b"250 2.0.0 Ok\r\n502 5.5.2 Error: command not recognized\r\n500 5.5.2 Error: bad syntax\r\n221 2.0.0 Bye\r\n",
        True,
        id="smtp",
    ),
    pytest.param(
        Decoy.SMTP,
        b"AUTH LOGIN\r\ncm9vdA==\r\ndG9vcg==\r\nAUTH LOGIN cm9vdA==\r\ndG9vcg==\r\nAUTH PLAIN AHJvb3QAdG9vcg==\r\n"
        b"AUTH PLAIN\r\nAHJvb3QAdG9vcg==\r\nAUTH NTLM\r\nNOOP\r\n",
        b"334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n535 5.7.8 Error: authentication failed: authentication failure\r\n"
        b"334 UGFzc3dvcmQ6\r\n535 5.7.8 Error: authentication failed: authentication failure\r\n"
        b"535 5.7.8 Error: authentication failed: authentication failure\r\n"
        b"334 \r\n535 5.7.8 Error: authentication failed: authentication failure\r\n"
        b"535 5.7.8 Error: authentication failed: Invalid authentication mechanism\r\n250 2.0.0 Ok\r\n",
        False,
        id="smtp, logins",
    ),
    pytest.param(
        Decoy.SMTP,
        b"GET / HTTP/1.0\r\n\r\n",
        b"221 2.7.0 Error: I can break rules, too. Goodbye.\r\n",
        True,
        id="smtp, a browser",
    ),
    pytest.param(
        Decoy.SMTP,
        b"RCPT TO:<a@b>\r\n" * 20,
        b"503 5.5.1 Error: need MAIL command\r\n" * 19 + b"421 4.7.0 gw.example Error: too many errors\r\n",
        True,
        id="smtp, too many mistakes",
    ),
    pytest.param(
        Decoy.POP3,
        b"USER root\r\nPASS toor\r\nPASS toor\r\nAUTH\r\nAUTH LOGIN\r\nx\r\ny\r\nAUTH PLAIN\r\nz\r\nAUTH PLAIN AA==\r\n"
        b"AUTH NTLM\r\nSTAT\r\nQUIT\r\n",
        b"+OK\r\n-ERR [AUTH] Authentication failed.\r\n-ERR No username given.\r\n+OK\r\nPLAIN\r\nLOGIN\r\n.\r\n"
        b"+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n-ERR [AUTH] Authentication failed.\r\n"
        b"+ \r\n-ERR [AUTH] Authentication failed.\r\n-ERR [AUTH] Authentication failed.\r\n"
        b"-ERR Unsupported authentication mechanism.\r\n-ERR Unknown command.\r\n+OK Logging out\r\n",
        True,
        id="pop3",
    ),
    pytest.param(
        Decoy.POP3,
        b"a\nb\nc\nd\n",
        b"-ERR Unknown command.\r\n-ERR Unknown command.\r\n-ERR Too many invalid bad commands.\r\n",
        True,
        id="pop3, too many mistakes",
    ),
    pytest.param(
        Decoy.IMAP,
        b"a login root toor\r\nb LOGIN {4}\r\nroot {4+}\r\ntoor\r\nc authenticate plain\r\nAA==\r\n"
        b"d AUTHENTICATE LOGIN\r\nx\r\ny\r\ne AUTHENTICATE NTLM\r\nf NOOP\r\ng LOGOUT\r\n",
        b"a %b+ OK\r\nb %b+ \r\nc %b+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\nd %b"
        b"e NO Unsupported authentication mechanism.\r\nf OK NOOP completed.\r\n"
        b"* BYE Logging out\r\ng OK Logout completed.\r\n" % (NO, NO, NO, NO),
        True,
        id="imap",
    ),
    pytest.param(
        Decoy.IMAP,
        b"\r\na XYZZY\r\n\x1b[2J NOOP\r\n",
        b"* %ba %b* BYE Too many invalid IMAP commands.\r\n" % (BAD, BAD),
        True,
        id="imap, what is no command",
    ),
    pytest.param(
        Decoy.TELNET,
        b"\xff\xfc\x18\xff\xfa\x18\0xterm\xff\xff\xff\xf0\r\nroot\r\0toor\r\na\nb\nc\rd\r",
        b"Debian GNU/Linux 12\r\ngw.example login: gw.example login: \xff\xfb\x01Password: \xff\xfc\x01%bgw.example "
        b"login: \xff\xfb\x01Password: \xff\xfc\x01%bgw.example login: \xff\xfb\x01Password: \xff\xfc\x01%b"
        % (LOGIN, LOGIN, LOGIN),
        True,
        id="telnet",
    ),
    pytest.param(
        Decoy.HTTP,
        b"\r\nGET /?x HTTP/1.1\r\nHost: a\r\n\r\nmore",
        b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 23 Nov 2026 08:33:37 GMT\r\nContent-Type: text/html\r\n"
        b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(WELCOME), WELCOME),
        True,
        id="http",
    ),
    pytest.param(Decoy.HTTP, b"POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\n1234", b"", False, id="http, half a body"),
    pytest.param(
        Decoy.REDIS,
        b"*1\r\n$4\r\nping\r\nPING hello\r\n*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n"
        b"*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$1\r\n*\r\n"
        b"GET / HTTP/1.0\r\n\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\nnonesuch \x1b a b c\r\n*0\r\nquit\r\n",
        b"+PONG\r\n$5\r\nhello\r\n-WRONGPASS invalid username-password pair or user is disabled.\r\n"
        b"-NOPERM User default has no permissions to run the 'config' command\r\n"
        b"-ERR wrong number of arguments for 'get' command\r\n"
        b"-NOPERM User default has no permissions to run the 'get' command\r\n"
        b"-ERR unknown command 'nonesuch', with args beginning with: '?' 'a' 'b' \r\n+OK\r\n",
        True,
        id="redis",
    ),
    pytest.param(
        Decoy.REDIS, b"*99\r\n", b"-ERR Protocol error: invalid multibulk length\r\n", True, id="redis, many words"
    ),
    pytest.param(
        Decoy.REDIS, b"*1\r\n$9999\r\n", b"-ERR Protocol error: invalid bulk length\r\n", True, id="redis, a long word"
    ),
    pytest.param(
        Decoy.REDIS, b"*1\r\n:1\r\n", b"-ERR Protocol error: expected '$', got ':'\r\n", True, id="redis, no word"
    ),
    pytest.param(Decoy.REDIS, b"POST / HTTP/1.1\r\nHost: a\r\n", b"", True, id="redis, a browser led astray"),
    pytest.param(
        Decoy.VNC,
        b"RFB 003.008\n\x02" + bytes(16),
        b"\x01\x02%b\0\0\0\x01\0\0\0\x16Authentication failure" % CHALLENGE,
        True,
        id="vnc",
    ),
    pytest.param(
        Decoy.VNC,
        b"RFB 003.003\n" + bytes(16),
        b"\0\0\0\x02%b\0\0\0\x01" % CHALLENGE,
        True,
        id="vnc 3.3",
    ),
    pytest.param(
        Decoy.VNC,
        b"RFB 003.008\n\x01",
        b"\x01\x02\0\0\0\x01\0\0\0\x1bSecurity type not supported",
        True,
        id="vnc, without a password",
    ),
    pytest.param(Decoy.VNC, b"GET / HTTP/1.0\r\n", b"", True, id="vnc, a browser"),
    pytest.param(
        Decoy.RDP,
        b"\x03\0\0*%\xe0\0\0\0\0\0Cookie: mstshash=nmap\r\n\x01\0\x08\0\x03\0\0\0",
        b"\x03\0\0\x13\x0e\xd0\0\0\x124\0\x02\x1f\x08\0\x02\0\0\0",
        False,
        id="rdp",
    ),
    pytest.param(
        Decoy.RDP,
        b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x01\0\0\0",
        b"\x03\0\0\x13\x0e\xd0\0\0\x124\0\x03\0\x08\0\x05\0\0\0",
        True,
        id="rdp, TLS alone",
    ),
    pytest.param(
        Decoy.RDP,
        b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\0\0\0\0",
        b"\x03\0\0\x13\x0e\xd0\0\0\x124\0\x03\0\x08\0\x05\0\0\0",
        True,
        id="rdp, its own security",
    ),
    pytest.param(
        Decoy.RDP, b"\x03\0\0\x0b\x06\xe0\0\0\0\0\0", b"\x03\0\0\x0b\x06\xd0\0\0\x124\0", False, id="rdp of old"
    ),
    pytest.param(Decoy.RDP, b"\x16\x03\x01\x02\0\x01", b"", True, id="rdp, TLS at once"),
    pytest.param(Decoy.RDP, b"\x03\0\xff\xff", b"", True, id="rdp, too long"),
    pytest.param(
        Decoy.SSH, b"GET / HTTP/1.0\r\n", b"Invalid SSH identification string.\r\n", True, id="ssh, a browser"
    ),
    pytest.param(
        Decoy.SSH, b"SSH-2.0-" + b"x" * 260, b"Invalid SSH identification string.\r\n", True, id="ssh, endless"
    ),
]


@pytest.mark.parametrize(("decoy", "said", "heard", "over"), LINES)
def test_what_is_answered(decoy: Decoy, said: bytes, heard: bytes, over: bool) -> None:
    assert talk(decoy, [said]) == (heard, over)
    assert talk(decoy, [bytes([byte]) for byte in said]) == (heard, over)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        pytest.param(b"GET /index.html HTTP/1.0\r\n\r\n", b"200 OK", id="the page"),
        pytest.param(b"GET /.env HTTP/1.1\r\nHost: x\r\n\r\n", b"404 Not Found", id="not there"),
        pytest.param(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\na=b", b"405 Not Allowed", id="another method"),
        pytest.param(b"OPTIONS / RTSP/1.0\r\n\r\n", b"400 Bad Request", id="another protocol"),
        pytest.param(b"\x16\x03\x01\r\n", b"400 Bad Request", id="TLS"),
        pytest.param(b"GET /\r\n\r\n", b"400 Bad Request", id="HTTP 0.9"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 2000, b"414 Request-URI Too Large", id="endless fields"),
        pytest.param(b"A" * (LONGEST_HEAD + 1), b"414 Request-URI Too Large", id="an endless line"),
    ],
)
def test_http_statuses(said: bytes, status: bytes) -> None:
    heard, over = talk(Decoy.HTTP, [said])
    head, _, body = heard.partition(b"\r\n\r\n")
    assert over
    assert head.startswith(b"HTTP/1.1 " + status + b"\r\n")
    assert b"Content-Length: %d\r\n" % len(body) in head
    assert talk(Decoy.HTTP, [bytes([byte]) for byte in said]) == (heard, over)


def test_http_head_has_no_body() -> None:
    heard, _ = talk(Decoy.HTTP, [b"HEAD / HTTP/1.0\r\n\r\n"])
    assert heard.endswith(b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(WELCOME))


def test_date_is_english_in_every_locale() -> None:
    assert date(0.0) == b"Thu, 01 Jan 1970 00:00:00 GMT"


@pytest.mark.parametrize(
    ("decoy", "said", "pause"),
    [
        pytest.param(Decoy.FTP, b"USER a\r\nPASS b\r\n", 1.0, id="ftp"),
        pytest.param(Decoy.TELNET, b"root\r\ntoor\r\nroot\r\ntoor\r\n", 6.0, id="telnet, twice"),
        pytest.param(Decoy.SMTP, b"AUTH PLAIN AA==\r\n", 2.0, id="smtp"),
        pytest.param(Decoy.POP3, b"USER a\r\nPASS b\r\nAUTH PLAIN AA==\r\n", 4.0, id="pop3, twice"),
        pytest.param(Decoy.IMAP, b"a LOGIN b c\r\n", 2.0, id="imap"),
        pytest.param(Decoy.POP3, b"USER a\r\nCAPA\r\n", 0.0, id="pop3, no password"),
    ],
)
def test_wrong_passwords_take_their_time(decoy: Decoy, said: bytes, pause: float) -> None:
    dialogue = DECOYS[decoy](SCENE)
    assert dialogue.hear(said).pause == pause
    dialogue = DECOYS[decoy](SCENE)
    assert sum(dialogue.hear(bytes([byte])).pause for byte in said) == pause


def test_ssh_offers_and_hangs_up_in_the_midst_of_the_key_exchange() -> None:
    packet = len(ssh.offer(bytes(16)))
    assert packet % 8 == 0  # RFC 4253 section 6: whole blocks
    client = b"SSH-2.0-libssh_0.9\r\n" + ssh.offer(bytes(16)) + b"\0\0\0\x2c\x06\x1e" + bytes(42)
    heard, over = talk(Decoy.SSH, [client[:20]])
    assert (heard, over) == (ssh.offer(CHALLENGE), False)
    assert talk(Decoy.SSH, [client[:-1]]) == (heard, False)
    assert talk(Decoy.SSH, [client]) == (heard, True)
    assert talk(Decoy.SSH, [client[:20], b"\xff\xff\xff\xff"]) == (heard, True)


def test_mysql_names_who_is_denied() -> None:
    greeting = DECOYS[Decoy.MYSQL](SCENE).greeting
    assert int.from_bytes(greeting[:3], "little") == len(greeting) - 4
    assert greeting[4:].startswith(b"\x0a8.0.36\0")
    login = (0x0200 | 0x8000).to_bytes(4, "little") + bytes(28) + b"root\x07\0\x14" + bytes(20)
    heard, over = talk(Decoy.MYSQL, [len(login).to_bytes(3, "little") + b"\x01" + login])
    assert over
    text = b"#28000Access denied for user 'root?'@'192.0.2.9' (using password: YES)"
    assert heard == (3 + len(text)).to_bytes(3, "little") + b"\x02\xff\x15\x04" + text


@pytest.mark.parametrize("said", [b"GET / HTTP/1.0\r\n", b"\xff\xff\xff\x01", b"\0\0\0\x05"])
def test_mysql_refuses_what_is_no_login(said: bytes) -> None:
    heard, over = talk(Decoy.MYSQL, [said])
    assert over
    assert heard[4:5] == b"\xff"


WORDS = [row.values[1] for row in LINES]
PIECES = st.lists(st.one_of(st.binary(max_size=64), st.sampled_from(WORDS)), max_size=6)


@pytest.mark.parametrize("decoy", Decoy)
@given(pieces=PIECES, cut=st.integers(1, 40))
def test_pieces_make_no_difference_and_nothing_is_without_bound(decoy: Decoy, pieces: list[bytes], cut: int) -> None:
    whole = b"".join(pieces)
    heard, over = talk(decoy, pieces)
    again = talk(decoy, [whole[at : at + cut] for at in range(0, len(whole), cut)])
    assert again == (heard, over)
    assert len(heard) <= 32_768


@pytest.mark.parametrize("decoy", Decoy)
@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(b"\0" * 1000, id="zeros"),
        pytest.param(b"\r\n" * 500, id="empty lines"),
        pytest.param(b"A" * 1000, id="letters"),
        pytest.param(b"NOOP\r\n" * 100, id="lines"),
        pytest.param(b"*1\r\n$4\r\nPING\r\n" * 100, id="commands"),
        pytest.param(b"\xff\xfb\x01" * 400, id="telnet options"),
        pytest.param(b"a LOGIN {1}\r\n" * 100, id="literals"),
    ],
)
def test_whoever_goes_on_is_hung_up_on(decoy: Decoy, piece: bytes) -> None:
    assert talk(decoy, [piece] * 80)[1]
