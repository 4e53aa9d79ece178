"""Weights that people publish: what they are called here, whose terms they carry, where they lie,
fetching them.

Nothing here loads a model. Voices and music are fetched by their own libraries' hubs into their own
caches, so that other programs find them as well; the presenters' checkpoints are files of releases
and lie in `avatar_weights_home`.
"""

from __future__ import annotations

import difflib
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from studio.download import Remote
from studio.errors import EngineUnavailable, SettingError
from studio.specs import MusicModelName
from studio.store import studio_home

Family = Literal["voice", "music", "avatar"]

_SADTALKER = "https://github.com/OpenTalker/SadTalker/releases/download/v0.0.2-rc"
_FACEXLIB = "https://github.com/xinntao/facexlib/releases/download/v0.1.0"

RELEASES: dict[str, tuple[Remote, ...]] = {
    "sadtalker": tuple(
        Remote(url=f"{base}/{name}", name=name)
        for base, name in (
            (_SADTALKER, "SadTalker_V0.0.2_256.safetensors"),
            (_SADTALKER, "mapping_00109-model.pth.tar"),
            (_SADTALKER, "mapping_00229-model.pth.tar"),
            (_FACEXLIB, "detection_Resnet50_Final.pth"),
            (_FACEXLIB, "alignment_WFLW_4HG.pth"),
        )
    ),
    "sadtalker-512": (
        Remote(
            url=f"{_SADTALKER}/SadTalker_V0.0.2_512.safetensors",
            name="SadTalker_V0.0.2_512.safetensors",
        ),
    ),
    "gfpgan": (
        Remote(
            url="https://github.com/TencentARC/GFPGAN/releases/download/v1.3.0/GFPGANv1.4.pth",
            name="GFPGANv1.4.pth",
        ),
    ),
    # Its authors sign the file by name: the digits are the beginning of its SHA-256.
    "wav2lip": (
        Remote(
            url="https://www.adrianbulat.com/downloads/python-fan/s3fd-619a316812.pth",
            name="s3fd-619a316812.pth",
            sha256="619a316812",
        ),
    ),
}
"""The files of a name, as their authors released them."""

WAV2LIP_FILES = ("wav2lip_gan.pth", "wav2lip.pth")
"""Published on drives that ask a person in a browser, linked from the authors' page: a person puts
one of them into the folder."""

XTTS_V2 = "tts_models/multilingual/multi-dataset/xtts_v2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Weights under the name that `studio engines fetch` takes. `model` is the engine's own name
    for them, `page` where their authors describe them.
    """

    name: str
    family: Family
    engine: str
    model: str
    code_licence: str
    weights_licence: str
    commercial: bool
    page: str


def avatar_weights_home() -> Path:
    """Where fetched checkpoints of presenters lie; a profile's `avatar.weights_dir` wins."""
    return studio_home(os.environ) / "weights" / "avatar"


def shelf() -> tuple[Published, ...]:
    """All that has a name here. A voice may also be fetched by any name the library publishes."""
    return (*_voices(), *_music(), *_presenters())


def find(name: str) -> Published:
    """The weights of that name. Raises `SettingError` with near names.

    Raises `EngineUnavailable` when the library that knows the name is not installed.
    """
    if name.startswith("tts_models/"):
        return _voice(name, name)
    known = {item.name: item for item in shelf()}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or list(known)
    raise SettingError(
        "engines fetch", f"no weights are called {name!r}", f"Near ones: {', '.join(near)}"
    )


def bytes_here(item: Published) -> int:
    """How many bytes of it lie on this machine; 0 unless all of it is here."""
    match item.family:
        case "voice":
            return _voice_bytes(item)
        case "music":
            from models.music.musicgen_weights import local_bytes

            return local_bytes(item.model, item.engine)
        case "avatar":
            places = [avatar_weights_home() / file.name for file in RELEASES[item.name]]
            if item.name == "wav2lip":
                either = [avatar_weights_home() / name for name in WAV2LIP_FILES]
                places.append(next((path for path in either if path.is_file()), either[0]))
            sizes = [path.stat().st_size if path.is_file() else 0 for path in places]
            return sum(sizes) if all(sizes) else 0


def _voices() -> tuple[Published, ...]:
    if importlib.util.find_spec("TTS") is None:
        from models.voice.coqui_weights import DEFAULT_MODEL, XTTS_LICENCE

        return (
            _voice_item("coqui_tts", DEFAULT_MODEL, "apache 2.0"),
            _voice_item("xtts_v2", XTTS_V2, XTTS_LICENCE),
        )
    from models.voice.coqui_weights import DEFAULT_MODEL

    return (_voice("coqui_tts", DEFAULT_MODEL), _voice("xtts_v2", XTTS_V2))


def _voice(name: str, model: str) -> Published:
    from models.voice.coqui_weights import published_licence

    return _voice_item(name, model, published_licence(model))


def _voice_item(name: str, model: str, licence: str) -> Published:
    from models.voice.coqui_weights import FREE_LICENCES

    return Published(
        name=name,
        family="voice",
        engine="coqui_tts",
        model=model,
        code_licence="MPL-2.0",
        weights_licence=licence,
        commercial=licence.casefold().startswith(FREE_LICENCES),
        page="https://github.com/idiap/coqui-ai-TTS",
    )


def _voice_bytes(item: Published) -> int:
    from models.voice.coqui_weights import locate
    from studio.specs import VoiceSpec

    try:
        found = locate(VoiceSpec(model=item.model))
    except EngineUnavailable:
        return 0
    files = [found.model, found.config, *(found.vocoder or ())]
    return sum(path.stat().st_size for path in files)


def _music() -> tuple[Published, ...]:
    from models.music.musicgen_weights import WEIGHTS_LICENCE

    return tuple(
        Published(
            name=f"{prefix}-{model}",
            family="music",
            engine=engine,
            model=model,
            code_licence=code,
            weights_licence=WEIGHTS_LICENCE,
            commercial=False,
            page=f"https://huggingface.co/facebook/musicgen-{model}",
        )
        for prefix, engine, code in (
            ("musicgen", "musicgen_hf", "Apache-2.0"),
            ("audiocraft", "musicgen_audiocraft", "MIT"),
        )
        for model in get_args(MusicModelName)
    )


def _presenters() -> tuple[Published, ...]:
    def item(name: str, engine: str, licence: str, page: str, *, commercial: bool) -> Published:
        return Published(
            name=name,
            family="avatar",
            engine=engine,
            model=name,
            code_licence="Apache-2.0",
            weights_licence=licence,
            commercial=commercial,
            page=page,
        )

    talker = "https://github.com/OpenTalker/SadTalker"
    terms = "SadTalker's own terms (its speech encoder is derived from Wav2Lip)"
    lips = "non-commercial research (trained on LRS2)"
    restorer = "https://github.com/TencentARC/GFPGAN"
    return (
        item("sadtalker", "sadtalker", terms, talker, commercial=False),
        item("sadtalker-512", "sadtalker", terms, talker, commercial=False),
        item("wav2lip", "wav2lip", lips, "https://github.com/Rudrabha/Wav2Lip", commercial=False),
        item("gfpgan", "sadtalker", "Apache-2.0", restorer, commercial=True),
    )


Report = Callable[[str, int, int], None]
"""Called with a file's name, the bytes of it that are here, and how many there are (0: unknown)."""


def fetch(item: Published, report: Report) -> Path:
    """Bring the weights here; returns where they lie. What was begun before is gone on with.

    Raises `EngineUnavailable` when the network is not there or switched off, `SettingError` where a
    person has to fetch a file.
    """
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        raise EngineUnavailable(
            f"weights {item.name}", "HF_HUB_OFFLINE is set", "Unset it to fetch from the network"
        )
    place = _brought(item, report)
    # Libraries keep weights where they like; that they are here is known by this note.
    notes = studio_home(os.environ) / "weights" / "fetched"
    notes.mkdir(parents=True, exist_ok=True)
    (notes / f"{item.name.replace('/', '--')}.txt").write_text(f"{place}\n", encoding="utf-8")
    return place


def _brought(item: Published, report: Report) -> Path:
    match item.family:
        case "voice":
            from models.voice.coqui_weights import fetch_weights

            return fetch_weights(item.model, accept_licence=True, report=report).model.parent
        case "music":
            from models.music.musicgen_weights import fetch_weights as fetch_music

            return fetch_music(item.model, item.engine)
        case "avatar":
            return _fetch_releases(item, report)


def _fetch_releases(item: Published, report: Report) -> Path:
    from studio.download import download

    folder = avatar_weights_home()
    for file in RELEASES[item.name]:
        download(file, folder, partial(report, file.name))
    if item.name == "wav2lip" and not bytes_here(item):
        raise SettingError(
            "weights wav2lip",
            f"its authors hand out {WAV2LIP_FILES[0]} through a page for people only ({item.page})",
            f"Download it there and put it into {folder}; the face detector is there already",
        )
    return folder
