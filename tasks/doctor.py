"""What runs on this machine, what does not, and the remedy. Everything is tried."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata

from studio.errors import StudioError
from studio.ffmpeg import try_encoder
from studio.gpu.cards import load_nvml, survey
from studio.shared import shared_store
from studio.store import Store, studio_home
from tasks.engine_shelf import examine_engines

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
    found = (*_packages(), *_engines(environ), *_encoders(), *_cards(environ))
    return (*found, _room(environ), *_shared(environ))


def _packages() -> Iterator[Finding]:
    for name in PACKAGES:
        try:
            yield Finding(what=f"package {name}", works=True, found=metadata.version(name))
        except metadata.PackageNotFoundError:
            remedy = "Only neural engines and training need it: `make extras`"
            yield Finding(what=f"package {name}", works=False, found="not installed", remedy=remedy)


def _engines(environ: Mapping[str, str]) -> Iterator[Finding]:
    for standing in examine_engines(environ):
        what = f"{standing.family} {standing.name}"
        found = standing.why or "runs here"
        yield Finding(what=what, works=standing.runs, found=found, remedy=standing.remedy)


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


def _shared(environ: Mapping[str, str]) -> Iterator[Finding]:
    """The store that machines share, where one is named: an object is written, read and deleted."""
    what = "shared store"
    try:
        shared = shared_store(environ.get("STUDIO_REMOTE", ""))
        if shared is not None:
            shared.remote.check()
            yield Finding(what=what, works=True, found=shared.remote.url)
    except StudioError as error:
        yield Finding(what=what, works=False, found=error.found, remedy=error.remedy)
