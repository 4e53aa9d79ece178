"""libespeak-ng through ctypes, from the wheel's own library and data: no package of the operating
system is needed.

The library keeps its state in globals and drifts from call to call: the second utterance of one
handle differs from the first by a few samples. Every utterance therefore gets a copy of the library
of its own. The dynamic linker tells libraries apart by inode, so a copy has fresh globals: the same
text gives the same bits on every run, in any thread, and threads speak in parallel. A copy costs 4
to 20 ms. (The interface is that of eSpeak NG 1.52, `speak_lib.h`.)
"""

from __future__ import annotations

import _ctypes
import ctypes
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from studio.errors import EngineUnavailable

EVENT_END, EVENT_WORD, EVENT_PHONEME = 0, 1, 7
PARAMETER_RATE, PARAMETER_PITCH, PARAMETER_RANGE = 1, 3, 4
OUTPUT_RETRIEVAL, OUTPUT_SYNCHRONOUS = 1, 2
INITIALISE_PHONEME_EVENTS, INITIALISE_PHONEME_IPA, INITIALISE_DONT_EXIT = 1, 2, 0x8000
TEXT_UTF8, TEXT_PHONEMES = 1, 0x100
POSITION_CHARACTER = 1
PHONEMES_IPA = 2


class _Identity(ctypes.Union):
    _fields_: ClassVar = [
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    ]


class _Event(ctypes.Structure):
    _fields_: ClassVar = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Identity),
    ]


class _VoiceEntry(ctypes.Structure):
    _fields_: ClassVar = [
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WordMark:
    """A word begins: the position of its first character in the text (from 0), and its sample."""

    position: int
    start: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawSpeech:
    """16-bit mono samples; the starts of words and of IPA phonemes ("" is a pause), in samples."""

    samples: NDArray[np.int16]
    sample_rate: int
    words: tuple[WordMark, ...]
    phonemes: tuple[tuple[str, int], ...]


@contextmanager
def fresh_library(output: int, options: int) -> Iterator[tuple[Any, int]]:
    """A library of one's own, initialised, with its sample rate in Hz; unloaded when the context
    ends.

    Raises `EngineUnavailable` when the library or its data cannot be loaded.
    """
    remedy = "Reinstall it: pip install --force-reinstall espeakng-loader"
    try:
        with ExitStack() as stack:
            library = ctypes.CDLL(_copy(_installed("get_library_path"), stack))
            stack.callback(_ctypes.dlclose, library._handle)
            data = str(_installed("get_data_path")).encode()
            rate = library.espeak_Initialize(output, 0, data, options | INITIALISE_DONT_EXIT)
            if rate <= 0:
                raise EngineUnavailable("espeak_ng", f"no voice data at {data.decode()}", remedy)
            stack.callback(library.espeak_Terminate)
            yield library, rate
    except OSError as error:
        raise EngineUnavailable(
            "espeak_ng", f"its library does not load ({error})", remedy
        ) from error


def _installed(what: Literal["get_library_path", "get_data_path"]) -> Path:
    import espeakng_loader

    return Path(getattr(espeakng_loader, what)())


def _copy(source: Path, stack: ExitStack) -> str:
    """The path of a copy of `source` that lives as long as `stack`: in memory where the kernel can,
    else on disk.

    The descriptor stays open while the copy is loaded: the linker also compares names, and a closed
    descriptor's number would be given to the next copy.
    """
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("espeak-ng", os.MFD_CLOEXEC)
        stack.callback(os.close, descriptor)
        with source.open("rb") as file:
            os.sendfile(descriptor, file.fileno(), 0, source.stat().st_size)
        return f"/proc/self/fd/{descriptor}"
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="espeak-ng-"))
    return str(shutil.copyfile(source, Path(folder) / source.name))


class _Recorder:
    """Collects what the library hands out while it speaks."""

    def __init__(self) -> None:
        self.blocks: list[NDArray[np.int16]] = []
        self.words: list[WordMark] = []
        self.phonemes: list[tuple[str, int]] = []

    def __call__(self, samples: Any, num_samples: int, events: Any) -> int:
        if samples and num_samples > 0:
            self.blocks.append(np.ctypeslib.as_array(samples, shape=(num_samples,)).copy())
        index = 0
        while events[index].type != EVENT_END:
            event = events[index]
            index += 1
            if event.type == EVENT_WORD:
                # Positions count characters from 1.
                self.words.append(WordMark(position=event.text_position - 1, start=event.sample))
            elif event.type == EVENT_PHONEME:
                # Eight bytes, not always closed by a zero: a long symbol may end inside a
                # character.
                raw = bytes(event.id)[:8].split(b"\0")[0]
                self.phonemes.append((raw.decode("utf-8", "ignore"), event.sample))
        return 0


def speak(text: str, voice: str, rate_wpm: int, pitch_pct: int, range_pct: int) -> RawSpeech:
    """Speak `text` with a voice of the catalogue (`identifier` or `identifier+variant`).

    `[[...]]` in the text is read as phonemes in the library's notation. `range_pct` is the range of
    the intonation, 50 being the voice's own. The samples are bit-identical from call to call for
    the variants in `models.voice.casting`. Raises `EngineUnavailable` when the library cannot be
    loaded, `LookupError` for a voice that it does not know.
    """
    recorder = _Recorder()
    callback = _Callback(recorder)
    options = INITIALISE_PHONEME_EVENTS | INITIALISE_PHONEME_IPA
    with fresh_library(OUTPUT_SYNCHRONOUS, options) as (library, sample_rate):
        library.espeak_SetSynthCallback(callback)
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise LookupError(voice)
        library.espeak_SetParameter(PARAMETER_RATE, rate_wpm, 0)
        library.espeak_SetParameter(PARAMETER_PITCH, pitch_pct, 0)
        library.espeak_SetParameter(PARAMETER_RANGE, range_pct, 0)
        raw = text.encode()
        library.espeak_Synth.argtypes = _SYNTH_ARGUMENTS
        flags = TEXT_UTF8 | TEXT_PHONEMES
        library.espeak_Synth(raw, len(raw) + 1, 0, POSITION_CHARACTER, 0, flags, None, None)
        library.espeak_Synchronize()
    samples = np.concatenate(recorder.blocks) if recorder.blocks else np.zeros(0, np.int16)
    return RawSpeech(
        samples=samples,
        sample_rate=sample_rate,
        words=tuple(recorder.words),
        phonemes=tuple(recorder.phonemes),
    )


_SYNTH_ARGUMENTS = [
    ctypes.c_char_p,
    ctypes.c_size_t,
    ctypes.c_uint,
    ctypes.c_int,
    ctypes.c_uint,
    ctypes.c_uint,
    ctypes.c_void_p,
    ctypes.c_void_p,
]


def phonemise(text: str, voice: str) -> list[str]:
    """The IPA of `text`, one string a clause, phonemes parted by `_`, without speaking it.

    Raises as `speak` does.
    """
    with fresh_library(OUTPUT_RETRIEVAL, 0) as (library, _):
        to_phonemes = library.espeak_TextToPhonemes
        to_phonemes.restype = ctypes.c_char_p
        to_phonemes.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int]
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise LookupError(voice)
        pointer, clauses = ctypes.c_char_p(text.encode()), []
        mode = PHONEMES_IPA | ord("_") << 8
        while pointer.value:  # one clause a call; null at the end
            clause = to_phonemes(ctypes.byref(pointer), TEXT_UTF8, mode)
            clauses.append((clause or b"").decode())
        return [clause for clause in clauses if clause]


@cache
def catalogue() -> dict[str, str]:
    """Every language code that the library speaks (lower case) and the identifier of its best
    voice.
    """
    best: dict[str, tuple[int, str]] = {}
    with fresh_library(OUTPUT_RETRIEVAL, 0) as (library, _):
        library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_VoiceEntry))
        library.espeak_ListVoices.argtypes = [ctypes.c_void_p]
        entries, index = library.espeak_ListVoices(None), 0
        while entries[index]:
            entry = entries[index].contents
            index += 1
            for priority, code in _languages(entry.languages):
                found = (priority, entry.identifier.decode())
                best[code] = min(found, best.get(code, found))
    return {code: identifier for code, (_, identifier) in sorted(best.items())}


@cache
def variants() -> tuple[str, ...]:
    """The names of all voice variants in the library's data."""
    folder = _installed("get_data_path") / "voices" / "!v"
    return tuple(sorted(path.name for path in folder.iterdir()))


def _languages(address: int) -> Iterator[tuple[int, str]]:
    """The pairs (priority, code) of a voice's language list: a byte and a string each, a zero byte
    at the end.
    """
    while priority := ctypes.cast(address, ctypes.POINTER(ctypes.c_ubyte))[0]:
        code = ctypes.string_at(address + 1)
        yield priority, code.decode().lower()
        address += len(code) + 2
