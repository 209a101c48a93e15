"""The one place where text from outside becomes fit for a line of a log or a terminal."""

from __future__ import annotations

_CONTROLS = {number: f"\\x{number:02x}" for number in (*range(32), 127)}


def unicode_text(text: str) -> str:
    r"""*text* without half surrogate pairs, which stand for bytes that were no UTF-8: no reader of JSON or of UTF-8 has
    to take them. They come as ``\udcff``."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def escape(text: str) -> str:
    r"""*text* in printable ASCII: a control character as ``\x1b``, whatever is beyond ASCII as ``\xe9``, ``\u202e`` ...

    Letters of other scripts are not spared: among them are those that turn the direction of the line, look like
    others or are no character at all, and RFC 3164 section 4.1.3 asks for seven bits.
    """
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_CONTROLS).encode("ascii", "backslashreplace").decode("ascii")
