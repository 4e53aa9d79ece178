"""Which engines there are, what each needs and may be used for, and whether it runs here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import psutil

from models import published
from models.avatar import open_performer
from models.avatar.did_api import INFO as DID
from models.music import open_composer
from models.music.musicgen_audiocraft import AUDIOCRAFT, audiocraft_home
from models.music.musicgen_weights import MEMORY_GIB
from models.published import Family, Published, bytes_here
from models.voice import open_voice
from models.voice.coqui_tts import OVERHEAD_GIB
from studio.errors import SettingError
from studio.gpu.cards import load_nvml, survey
from studio.isolation.environment import build_environment, is_built
from studio.specs import (
    AvatarEngineName,
    CloudName,
    DeviceSpec,
    MusicEngineName,
    MusicSpec,
    VoiceEngineName,
    VoiceSpec,
)
from studio.types import EngineInfo
from tasks.reach import PACKAGES

EXTRAS = {"coqui_tts": "coqui", "musicgen_hf": "musicgen"}
"""The extra that installs an engine's packages; presenters' is `avatar`."""

SHOWN = frozenset(
    {"coqui_tts", "xtts_v2", "musicgen-small", "audiocraft-small", "sadtalker", "wav2lip", "gfpgan"}
)
"""Always listed; other sizes only where they were fetched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How an engine stands here. `name` is what a profile calls it, with its weights behind a colon
    where there are several; `memory_gib` and `size_gib` are None where nobody can tell before the
    weights are here. `why` is empty when it runs.
    """

    family: Family
    name: str
    installed: bool
    runs: bool
    code_licence: str
    weights_licence: str
    commercial: bool
    memory_gib: float | None
    size_gib: float | None
    why: str = ""
    remedy: str = ""


def examine_engines(environ: Mapping[str, str]) -> tuple[Standing, ...]:
    """Every engine of every family. Nothing is loaded that needs weights, nothing is downloaded."""
    room_gib = _room_gib(environ)
    neural = (
        _neural(item, room_gib)
        for item in published.shelf()
        if item.name in SHOWN or bytes_here(item)
    )
    order = {"voice": 0, "music": 1, "avatar": 2}
    found = (*_weightless(), *neural, *_cloud(environ))
    return tuple(sorted(found, key=lambda engine: order[engine.family]))


def install_environment(name: str, report: Callable[[str], None]) -> Path:
    """Build an engine's own environment; returns its folder. Raises `SettingError` for a name that
    needs none, `EngineUnavailable` when the build fails.
    """
    if name != "audiocraft":
        raise SettingError(
            "engines install",
            f"{name!r} has no environment of its own",
            "Known: audiocraft. Others are extras: pip install -e '.[coqui,musicgen,avatar]'",
        )
    build_environment(AUDIOCRAFT, audiocraft_home(), report)
    return audiocraft_home()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What weights are, before they are fetched. `size_gib` is 0 until all of them are here."""

    model: str
    page: str
    code_licence: str
    weights_licence: str
    commercial: bool
    size_gib: float


def terms_of(name: str) -> Terms:
    """The terms of published weights. Raises `SettingError` for a name that nobody publishes."""
    item = published.find(name)
    return Terms(
        model=f"{item.engine} {item.model}",
        page=item.page,
        code_licence=item.code_licence,
        weights_licence=item.weights_licence,
        commercial=item.commercial,
        size_gib=bytes_here(item) / 2**30,
    )


def bring(name: str, report: published.Report) -> Path:
    """Fetch published weights whose terms were accepted; returns where they lie. See
    `models.published.fetch` for what it raises.
    """
    return published.fetch(published.find(name), report)


def recognise_weights(folder: Path) -> dict[str, tuple[str, str]]:
    """What checkpoints lie in a folder or right below it: family to (engine, folder).

    Raises `SettingError` when there are none.
    """
    if not folder.is_dir():
        raise SettingError("--weights", f"{folder} is no folder", "Name a folder with checkpoints")
    found: dict[str, tuple[str, str]] = {}
    for place in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        for family, engine in _kinds(place):
            found.setdefault(family, (engine, str(place.resolve())))
    if not found:
        raise SettingError(
            "--weights",
            f"no checkpoint that is known in {folder}",
            "It wants config.json with model.pth (Coqui) or model.safetensors (MusicGen), or "
            "presenters' files such as SadTalker_V0.0.2_256.safetensors or wav2lip_gan.pth",
        )
    return found


def _kinds(place: Path) -> Iterator[tuple[str, str]]:
    config = place / "config.json"
    try:
        described = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    except (OSError, ValueError):
        described = {}
    if str(described.get("model_type", "")).startswith("musicgen"):
        yield "music", "musicgen_hf"
    elif "model" in described and any(place.glob("*.pth*")):
        yield "voice", "coqui_tts"
    elif (place / "compression_state_dict.bin").is_file():
        yield "music", "musicgen_audiocraft"
    if any(place.glob("SadTalker_*.safetensors")) or any(place.glob("mapping_*-model.pth.tar")):
        yield "avatar", "sadtalker"
    elif any((place / name).is_file() for name in published.WAV2LIP_FILES):
        yield "avatar", "wav2lip"


def _weightless() -> Iterator[Standing]:
    device = DeviceSpec()
    voices: tuple[VoiceEngineName, ...] = ("espeak_ng", "tone")
    for voice in voices:
        with open_voice(voice, VoiceSpec(), device) as speaker:
            yield _standing("voice", speaker.info)
    composers: tuple[MusicEngineName, ...] = ("arranger", "hum")
    for music in composers:
        with open_composer(music, MusicSpec(), device) as composer:
            yield _standing("music", composer.info)
    performers: tuple[AvatarEngineName, ...] = ("viseme", "still")
    for avatar in performers:
        with open_performer(avatar) as performer:
            yield _standing("avatar", performer.info)


def _cloud(environ: Mapping[str, str]) -> Iterator[Standing]:
    """Services are asked nothing: whether there is a key is all that can be told from here."""
    for cloud in get_args(CloudName):
        # Any key will do to ask for the terms: nothing is sent.
        with open_voice("gtts_cloud", VoiceSpec(cloud=cloud), DeviceSpec(), cloud_key="-") as voice:
            free = cloud == "google_translate"
            missing = "" if free else _missing_key(environ, cloud)
            yield replace(_standing("voice", voice.info, *missing), name=f"gtts_cloud:{cloud}")
    yield _standing("avatar", DID, *_missing_key(environ, "did"))


def _missing_key(environ: Mapping[str, str], service: str) -> tuple[str, str] | tuple[()]:
    name = f"{service.upper()}_API_KEY"
    if environ.get(name):
        return ()
    return (f"no {name}", f"Set it, or save the Prefect block {service}-api-key")


def _neural(item: Published, room_gib: float) -> Standing:
    size = bytes_here(item)
    memory_gib = _memory_gib(item, size)
    why, remedy = _obstacle(item, size, memory_gib, room_gib)
    return Standing(
        family=item.family,
        name=item.engine if item.name == item.engine else f"{item.engine}:{item.name}",
        installed=not _missing_package(item),
        runs=not why,
        code_licence=item.code_licence,
        weights_licence=item.weights_licence,
        commercial=item.commercial,
        memory_gib=memory_gib,
        size_gib=size / 2**30 if size else None,
        why=why,
        remedy=remedy,
    )


def _obstacle(
    item: Published, size: int, memory_gib: float | None, room_gib: float
) -> tuple[str, str]:
    """The first thing that keeps it from running, and what to do about it; empty when it runs."""
    if missing := _missing_package(item):
        if item.engine == "musicgen_audiocraft":
            return missing, "studio engines install audiocraft"
        return missing, f"pip install -e '.[{EXTRAS.get(item.engine, 'avatar')}]'"
    if not size:
        return "its weights are not here", f"studio engines fetch {item.name}"
    if memory_gib is not None and memory_gib > room_gib:
        found = f"it needs {memory_gib:.1f} GiB of memory, there are {room_gib:.1f}"
        return found, "Use a smaller model, dtype fp16, or another machine"
    return "", ""


def _missing_package(item: Published) -> str:
    if item.engine == "musicgen_audiocraft":
        built = is_built(AUDIOCRAFT, audiocraft_home())
        return "" if built else "its environment is not built"
    for package in PACKAGES.get(item.engine, ("torch",)):
        if find_spec(package) is None:
            return f"{package} is not installed"
    return ""


def _memory_gib(item: Published, size: int) -> float | None:
    """What loading it takes, where that is known."""
    match item.family:
        case "music":
            return MEMORY_GIB[item.model]
        case "voice":
            return round(size / 2**30 + OVERHEAD_GIB, 1) if size else None
        case "avatar":
            if find_spec("torch") is None:
                return None
            from models.avatar.sadtalker.talker import INFO as TALKER
            from models.avatar.wav2lip.lipsync import INFO as LIPS

            return (LIPS if item.engine == "wav2lip" else TALKER).memory_gib


def _room_gib(environ: Mapping[str, str]) -> float:
    """Memory for one engine: of the largest card, else what the host has to spare."""
    cards = survey(load_nvml(), environ).cards
    if cards:
        return max(card.memory_gib for card in cards)
    return float(psutil.virtual_memory().available) / 2**30


def _standing(family: Family, info: EngineInfo, why: str = "", remedy: str = "") -> Standing:
    return Standing(
        family=family,
        name=info.name,
        installed=True,
        runs=not why,
        code_licence=info.code_licence,
        weights_licence=info.weights_licence,
        commercial=info.commercial,
        memory_gib=info.memory_gib,
        size_gib=None,
        why=why,
        remedy=remedy,
    )
