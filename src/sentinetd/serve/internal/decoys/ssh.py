"""An SSH server (RFC 4253) as Debian's OpenSSH is, which gives up in the midst of the key exchange."""

from __future__ import annotations

from sentinetd.serve.internal.decoys.dialogue import Answer, Scene

LONGEST_LINE = 255
"""Bytes of the client's identification (RFC 4253 section 4.2); OpenSSH takes no more either."""
LONGEST_PACKET = 35_000
"""Bytes of a packet (RFC 4253 section 6.1)."""
PACKETS = 2
"""What is waited for: the client's offer of algorithms, and the beginning of its key exchange."""
KEXINIT = 20
"""Number of the message that offers algorithms (RFC 4253 section 7.1)."""

IDENTIFICATION = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"
CIPHERS = (
    b"chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com"
)
MACS = (
    b"umac-64-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,"
    b"hmac-sha1-etm@openssh.com,umac-64@openssh.com,umac-128@openssh.com,hmac-sha2-256,hmac-sha2-512,hmac-sha1"
)
LISTS = (
    b"sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,"
    b"ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,"
    b"diffie-hellman-group18-sha512,diffie-hellman-group14-sha256,kex-strict-s-v00@openssh.com",
    b"rsa-sha2-512,rsa-sha2-256,ecdsa-sha2-nistp256,ssh-ed25519",
    CIPHERS,
    CIPHERS,
    MACS,
    MACS,
    b"none,zlib@openssh.com",
    b"none,zlib@openssh.com",
    b"",
    b"",
)
"""What OpenSSH 9.2 offers, in the order of RFC 4253 section 7.1."""


def offer(cookie: bytes) -> bytes:
    """The packet that offers algorithms; *cookie* are 16 random bytes."""
    lists = b"".join(len(one).to_bytes(4, "big") + one for one in LISTS)
    payload = bytes([KEXINIT]) + cookie + lists + bytes(5)
    padding = 8 - (5 + len(payload)) % 8
    padding += 8 if padding < 4 else 0  # RFC 4253 section 6
    return (1 + len(payload) + padding).to_bytes(4, "big") + bytes([padding]) + payload + bytes(padding)


class Ssh:
    greeting = IDENTIFICATION

    def __init__(self, scene: Scene) -> None:
        self._cookie = scene.noise[:16]
        self._rest = b""
        self._identified = False
        self._left = 0  # bytes of the present packet that have not come
        self._packets = 0

    def hear(self, data: bytes) -> Answer:
        if self._identified:
            return Answer(over=self._skip(data))
        self._rest += data
        end = self._rest.find(b"\n")
        if end < 0 and len(self._rest) <= LONGEST_LINE:
            return Answer()
        line, rest = self._rest[: end + 1], self._rest[end + 1 :]
        self._rest = b""
        if not line.startswith((b"SSH-2.0-", b"SSH-1.99-")) or len(line) > LONGEST_LINE:
            return Answer(b"Invalid SSH identification string.\r\n", over=True)
        self._identified = True
        return Answer(offer(self._cookie), over=self._skip(rest))

    def _skip(self, data: bytes) -> bool:
        """Whether all has come that is waited for, or what came is no packet."""
        while data:
            taken = min(self._left, len(data))
            self._left -= taken
            data = data[taken:]
            if not self._left:
                need = 4 - len(self._rest)
                self._rest, data = self._rest + data[:need], data[need:]
                if len(self._rest) == 4:
                    self._left = int.from_bytes(self._rest, "big")
                    self._rest = b""
                    if self._packets >= PACKETS or not 2 <= self._left <= LONGEST_PACKET:
                        return True
                    self._packets += 1
        return self._packets >= PACKETS and not self._left
