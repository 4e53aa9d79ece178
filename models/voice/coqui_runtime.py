"""What the Coqui library needs to run from wheels alone: torchaudio beside any torch, a phonemiser.

torchaudio's published wheels are linked against CUDA; beside a torch without it their native part
does not load, and with it fails every import. The parts that speech needs are plain PyTorch, so the
native part is replaced by one that says it is absent. The library's phonemiser starts a program,
`espeak-ng`, for every sentence; the embedded voice's library does the same in process.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

from models.voice.casting import library_voice
from models.voice.espeak_library import catalogue, phonemise
from studio.errors import EngineUnavailable

REMEDY = "Install it: pip install -e '.[coqui]'"
LIBRARY_VERSION = "1.52"
"""Of libespeak-ng in the wheel; the library compares it to decide on the notation."""


def load_library() -> None:
    """Make `import TTS` work. Raises `EngineUnavailable` when a package is missing or broken."""
    for package in ("torch", "torchaudio", "TTS"):
        if importlib.util.find_spec(package) is None:
            raise EngineUnavailable("voice coqui_tts", f"{package} is not installed", REMEDY)
    try:
        load_torchaudio()
        import TTS.tts.utils.text.phonemizers  # noqa: F401
    except (ImportError, OSError) as error:
        raise EngineUnavailable("voice coqui_tts", f"does not load ({error})", REMEDY) from error
    _embed_phonemiser()


_TORCHAUDIO = threading.Lock()
"""Speech and music load side by side, and both begin here."""


def load_torchaudio() -> None:
    """Import torchaudio, without its native part where that does not load."""
    with _TORCHAUDIO:
        try:
            import torchaudio
        except OSError:
            for name in list(sys.modules):
                if name.split(".")[0] == "torchaudio":
                    del sys.modules[name]
            sys.modules.update(_absent_extension())
            import torchaudio  # noqa: F401


def _absent_extension() -> dict[str, ModuleType]:
    extension = ModuleType("torchaudio._extension")
    parts: dict[str, Any] = {
        "__path__": [],
        "_IS_TORCHAUDIO_EXT_AVAILABLE": False,
        "_IS_ALIGN_AVAILABLE": False,
        "_IS_RIR_AVAILABLE": False,
        "_check_cuda_version": lambda: None,
        "fail_if_no_align": _refuse,
        "fail_if_no_rir": _refuse,
    }
    vars(extension).update(parts)
    loader = ModuleType("torchaudio._extension.utils")
    vars(loader).update({"_load_lib": lambda _: False, "_check_cuda_version": lambda: None})
    vars(extension)["utils"] = loader
    return {extension.__name__: extension, loader.__name__: loader}


def _refuse(function: Callable[..., object]) -> Callable[..., NoReturn]:
    def refused(*_: object, **__: object) -> NoReturn:
        raise RuntimeError(f"torchaudio.{function.__name__} needs torchaudio's native part")

    return refused


def _embed_phonemiser() -> None:
    """Give the library's phonemiser the embedded voice, unless the program is installed."""
    from TTS.tts.utils.text import phonemizers
    from TTS.tts.utils.text.phonemizers import espeak_wrapper

    if espeak_wrapper._DEF_ESPEAK_LIB is not None:
        return
    espeak_wrapper._DEF_ESPEAK_LIB = "espeak-ng"
    espeak_wrapper._DEF_ESPEAK_VER = LIBRARY_VERSION
    espeak_wrapper.get_espeakng_version = lambda: LIBRARY_VERSION
    wrapped = espeak_wrapper.ESpeak
    wrapped.phonemize_espeak = _phonemise
    wrapped.is_available = classmethod(lambda _: True)
    wrapped.supported_languages = staticmethod(lambda: {code: code for code in catalogue()})
    phonemizers._register_espeak()


def _phonemise(phonemiser: Any, text: str, separator: str = "|", *, tie: bool = False) -> str:
    """What `ESpeak.phonemize_espeak` returns: IPA, phonemes parted by `separator`, no language
    marks.

    `tie` would join the letters of one phoneme; no published model asks for it.
    """
    if tie:
        raise ValueError("phonemes with ties are not made in process")
    clauses = phonemise(text, library_voice(phonemiser._language))
    bare = (re.sub(r"\(.+?\)", "", clause).strip() for clause in clauses)
    return "".join(bare).replace("_", separator)
