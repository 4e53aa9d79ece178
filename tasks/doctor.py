"""What runs on this machine, what does not, and the remedy. Everything is tried."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from typing import get_args

from models.avatar import open_performer
from models.music import open_composer
from models.voice import open_voice
from studio.errors import EngineUnavailable
from studio.ffmpeg import try_encoder
from studio.gpu.cards import load_nvml, survey
from studio.specs import (
    AvatarEngineName,
    DeviceSpec,
    MusicEngineName,
    MusicSpec,
    VoiceEngineName,
    VoiceSpec,
)
from studio.store import Store, studio_home

ENCODERS = (
    "pyav:libx264",
    "pyav:h264_nvenc",
    "pyav:hevc_nvenc",
    "pyav:av1_nvenc",
    "ffmpeg:libx264",
    "ffmpeg:h264_nvenc",
)

LEAST_FREE_GIB = 5.0
"""An hour of episode at 1080p with its stems takes about 4 GiB of the store."""

PACKAGES = ("prefect", "av", "numpy", "torch", "coqui-tts", "transformers", "tensorflow-cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was tried. `remedy` is empty when it works."""

    what: str
    works: bool
    found: str
    remedy: str = ""


def examine(environ: Mapping[str, str]) -> tuple[Finding, ...]:
    """Try every engine, every encoder (with one real frame), the cards and the store."""
    return (*_packages(), *_engines(), *_encoders(), *_cards(environ), _room(environ))


def _packages() -> Iterator[Finding]:
    for name in PACKAGES:
        try:
            yield Finding(what=f"package {name}", works=True, found=metadata.version(name))
        except metadata.PackageNotFoundError:
            remedy = "Only neural engines and training need it: `make extras`"
            yield Finding(what=f"package {name}", works=False, found="not installed", remedy=remedy)


def _engines() -> Iterator[Finding]:
    device = DeviceSpec()
    for voice in get_args(VoiceEngineName):
        yield _opens(f"voice {voice}", partial(open_voice, voice, VoiceSpec(), device))
    for composer in get_args(MusicEngineName):
        yield _opens(f"music {composer}", partial(open_composer, composer, MusicSpec(), device))
    for avatar in get_args(AvatarEngineName):
        yield _opens(f"avatar {avatar}", partial(open_performer, avatar))


def _opens(what: str, open_engine: Callable[[], AbstractContextManager[object]]) -> Finding:
    try:
        with open_engine():
            return Finding(what=what, works=True, found="runs here")
    except EngineUnavailable as error:
        return Finding(what=what, works=False, found=error.found, remedy=error.remedy)


def _encoders() -> Iterator[Finding]:
    for name in ENCODERS:
        trial = try_encoder(name)
        found = "encoded a frame" if trial.works else f"{trial.cause}: {trial.said}"
        yield Finding(what=f"encoder {name}", works=trial.works, found=found, remedy=trial.remedy)


def _cards(environ: Mapping[str, str]) -> Iterator[Finding]:
    found = survey(load_nvml(), environ)
    if not found.cards:
        remedy = "None is needed: the cpu profile works without"
        yield Finding(what="cards", works=False, found=found.why, remedy=remedy)
    for card in found.cards:
        memory = f"{card.name}, {card.memory_gib:.0f} GiB"
        yield Finding(what=f"card {card.index}", works=True, found=memory)


def _room(environ: Mapping[str, str]) -> Finding:
    root = Store(studio_home(environ)).root
    free_gib = shutil.disk_usage(root).free / 2**30
    enough = free_gib >= LEAST_FREE_GIB
    remedy = "" if enough else "Run `studio gc`, or set STUDIO_HOME to a larger disk"
    return Finding(
        what="store", works=enough, found=f"{root}, {free_gib:.0f} GiB free", remedy=remedy
    )
