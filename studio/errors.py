"""Every error a user can cause. Each says where, what was found and what to do, in one line each.

The command line prints `where: found. remedy` and exits with `exit_code`: 2 for bad input, 3 for a
machine that cannot do what was asked, 4 for an episode that did not pass the release gate.
"""

from __future__ import annotations

from typing import ClassVar


class StudioError(Exception):
    """Where it happened, what was found, what to do."""

    exit_code: ClassVar[int] = 2

    def __init__(self, where: str, found: str, remedy: str) -> None:
        super().__init__(where, found, remedy)
        self.where, self.found, self.remedy = where, found, remedy

    def __str__(self) -> str:
        return _visible(f"{self.where}: {self.found}. {self.remedy}")


def quoted(value: object, max_chars: int = 80) -> str:
    """What somebody wrote, as an error repeats it: its `repr`, with its middle left out if long."""
    text = repr(value)
    if len(text) <= max_chars:
        return text
    return f"{text[: max_chars - 12]} ... {text[-7:]}"


def _visible(text: str) -> str:
    """The text with what cannot be seen spelt out: a name out of a script must not command a
    terminal or forge a line of a log. Lines of a program's own output stay lines.
    """
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode()
        for one in text
    )


class ScriptError(StudioError, ValueError):
    """A script that cannot be read or has nothing to say."""


class SettingError(StudioError, ValueError):
    """An unknown or ill-formed profile, option, engine or header value."""


class MediaError(StudioError, ValueError):
    """A file from the user (music, background, portrait) that is missing or cannot be decoded."""


class NoFaceError(MediaError):
    """A portrait in which no usable face was found."""


class SpeechError(StudioError, RuntimeError):
    """A line that could not be spoken; names the line."""


class MusicError(StudioError, RuntimeError):
    """A cue for which no music could be made; names the cue."""


class AvatarError(StudioError, RuntimeError):
    """A presenter that could not be animated."""


class OutputError(StudioError, OSError):
    """A place that cannot be written: no permission, no room, not a folder."""

    def __init__(self, where: str, found: str, remedy: str) -> None:
        # OSError with two or more arguments would read them as (errno, strerror).
        StudioError.__init__(self, where, found, remedy)


class EncodeError(StudioError, RuntimeError):
    """No encoder runs here, or what it made is not whole."""

    exit_code: ClassVar[int] = 3


class EncoderStopped(EncodeError):
    """An encoder failed or was killed in mid-encode; the same command goes on from there."""

    exit_code: ClassVar[int] = 2


class EngineUnavailable(StudioError, RuntimeError):
    """An engine that cannot run here (package, weights, device or licence); the profile's next
    alternative is tried.
    """

    exit_code: ClassVar[int] = 3


class StoreError(StudioError, RuntimeError):
    """Media in the store that is missing or is not what its name says."""

    exit_code: ClassVar[int] = 3


class RemoteError(StoreError):
    """The store that machines share cannot be reached, read or written."""


class DeliveryError(StudioError, RuntimeError):
    """The finished episode does not meet the release gate; `found` holds the figures."""

    exit_code: ClassVar[int] = 4


class BatchError(StudioError, RuntimeError):
    """Some episodes of a batch failed; the others are finished."""

    exit_code: ClassVar[int] = 3


class ServerError(StudioError, RuntimeError):
    """Prefect's server does not start or does not answer."""

    exit_code: ClassVar[int] = 3
