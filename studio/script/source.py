"""Reading a script's bytes: what is text, what is not, and the one form in which the parser sees
it.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Final

from studio.errors import ScriptError

MAX_SCRIPT_BYTES: Final = 4 * 2**20
"""4 MiB: about seventy hours of speech. More is another kind of file under a script's name."""

_UTF16_SHARE: Final = 0.25
"""Share of zero bytes at one parity from which bytes are taken for UTF-16: Latin text there has
nearly one half.
"""

_LINE_END: Final = re.compile("\r\n?|[\n\x0b\x0c\x85\u2028\u2029]")
_CONTROL: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SAVE_AS: Final = "Save it as plain text in UTF-8"


def read_source(path: Path) -> str:
    """The text of a script file: UTF-8 with or without a byte-order mark, or UTF-16 with one.

    Raises:
        ScriptError: missing, not a file, unreadable, over `MAX_SCRIPT_BYTES`, or not text.
    """
    where = str(path)
    try:
        num_bytes = path.stat().st_size
        data = None if path.is_dir() or num_bytes > MAX_SCRIPT_BYTES else path.read_bytes()
    except FileNotFoundError as error:
        raise ScriptError(where, "no such file", "Check the path") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise ScriptError(
            where, f"cannot be read ({reason})", "Check the path and its rights"
        ) from error
    if path.is_dir():
        raise ScriptError(where, "this is a folder", "Give a text file (.txt or .md)")
    if data is None:
        raise _too_long(where, num_bytes)
    return decode(data, where)


def decode(data: bytes, where: str) -> str:
    """Bytes to text, refusing what is not text; `where` names the source in errors."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError as error:
            raise ScriptError(where, "marked as UTF-16 but broken", _SAVE_AS) from error
    if b"\0" in data:
        even, odd = data[0::2].count(0), data[1::2].count(0)
        if max(even, odd) > _UTF16_SHARE * len(data) / 2 and min(even, odd) * 4 < max(even, odd):
            raise ScriptError(where, "looks like UTF-16 without a byte-order mark", _SAVE_AS)
        raise ScriptError(where, "binary data, not text", "Give plain text in UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line_no = data.count(b"\n", 0, error.start) + 1
        found = f"not text in UTF-8 (byte 0x{data[error.start]:02x} at offset {error.start})"
        raise ScriptError(f"{where}, line {line_no}", found, _SAVE_AS) from error


def numbered_lines(text: str, where: str) -> list[str]:
    """Lines without their ends: all Unicode line ends, no byte-order mark, control characters as
    spaces.

    Raises:
        ScriptError: over `MAX_SCRIPT_BYTES` characters.
    """
    if len(text) > MAX_SCRIPT_BYTES:
        raise _too_long(where, len(text))
    plain = _SURROGATE.sub("\ufffd", _CONTROL.sub(" ", text.replace("\ufeff", "")))
    return _LINE_END.split(plain)


def _too_long(where: str, num_bytes: int) -> ScriptError:
    found = (
        f"{num_bytes / 1e6:.1f} MB is too long for a script (limit {MAX_SCRIPT_BYTES / 1e6:.1f} MB)"
    )
    return ScriptError(where, found, "Split it into episodes, or check that it is the right file")
