"""What every sink of alerts is made with, and how it says that it cannot be."""

from __future__ import annotations

import os
import ssl
from collections.abc import Awaitable, Callable, Mapping

from sentinetd.errors import EdgeError
from sentinetd.model.alert import Tls
from sentinetd.model.noun import dataclass
from sentinetd.model.observer import Observer

LARGEST_FILE = 1 << 20


class Unusable(EdgeError):
    """The alert cannot work as it is configured: *key* of it (empty: all of it), *text* what is wrong, *way_out*."""

    def __init__(self, key: str, text: str, way_out: str) -> None:
        super().__init__(text)
        self.key = key
        self.text = text
        self.way_out = way_out


@dataclass(frozen=True, slots=True)
class Making:
    """*files* are lent descriptors by their numbers; *full* is told the number of a file that has its full size;
    *observer* gives who we are."""

    files: Mapping[int, int]
    full: Callable[[int], Awaitable[None]]
    observer: Callable[[], Observer]

    def read(self, number: int) -> bytes:
        """What file *number* holds."""
        return os.pread(self.files[number], LARGEST_FILE, 0)


def client_context(tls: Tls, making: Making) -> ssl.SSLContext:
    """How to speak TLS as *tls* says, always with a look at the other's certificate. Unusable if a file is no PEM."""
    if (tls.certificate is None) != (tls.key is None):
        missing = "key" if tls.key is None else "certificate"
        raise Unusable(missing, "a certificate and its key go together", f'write {missing} = "/..."')
    try:
        authorities = None if tls.ca is None else making.read(tls.ca).decode("ascii")
        context = ssl.create_default_context(cadata=authorities)
    except (ssl.SSLError, ValueError) as error:
        raise Unusable("ca", f"no certificates can be read there: {_reason(error)}", "name a file in PEM") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.certificate is not None and tls.key is not None:
        _identify(context, making.read(tls.certificate), making.read(tls.key))
    return context


def _identify(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Have *context* show *certificate*. The library reads files only; in memory there is one that nobody else sees."""
    number = os.memfd_create("identity", os.MFD_CLOEXEC)
    try:
        for part in (certificate, b"\n", key):
            os.write(number, part)
        context.load_cert_chain(f"/proc/self/fd/{number}", password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        way_out = "name the certificate, and the key it was made with, without a password, both in PEM"
        raise Unusable("certificate", f"it cannot be used with the key: {_reason(error)}", way_out) from error
    finally:
        os.close(number)


def _no_password() -> str:
    """Asked for a key that is encrypted: nobody is there to type."""
    raise ValueError("the key is protected by a password")


def _reason(error: Exception) -> str:
    return getattr(error, "reason", None) or str(error)
