"""Parse: the script and the user's own files, read and checked before any work is done."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import av
from PIL import Image, UnidentifiedImageError

from models.avatar.viseme.cast import find_host
from models.avatar.viseme.portrait import read_portrait
from studio.audio import decode_audio
from studio.errors import MediaError
from studio.script import read_lexicon, read_script
from studio.store import Store
from studio.types import Assets, Blob, Rehearsal, SpeakerPortrait
from tasks.looks import PICTURES, read_look
from tasks.run import Run
from tasks.stage import stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the user handed in: paths, as they were given; empty is "none"."""

    script: str
    lexicon: str = ""
    music: str = ""
    portrait: str = ""
    background: str = ""
    pose_film: str = ""


@stage("parse", tags=("cpu",), made_by=(), remembered=False)
def rehearse(order: Order, *, run: Run) -> Rehearsal:
    """Read the script and take the user's files into the store.

    A recording or a portrait named in the script is looked for beside the script. Raises
    `ScriptError`, `SettingError` or `MediaError`; nothing has been made by then.
    """
    run.report("parse", 0, 1)
    path = Path(order.script)
    script = read_script(path)
    background = order.background or _beside(path, script.header.background)
    portrait, landmarks = _portrait(run.store, order.portrait) if order.portrait else (None, None)
    assets = Assets(
        lexicon=read_lexicon(Path(order.lexicon)) if order.lexicon else (),
        music=_recording(run.store, order.music),
        cue_files=tuple(
            (cue.index, blob)
            for cue in script.cues
            if cue.file and (blob := _recording(run.store, _beside(path, cue.file)))
        ),
        portrait=portrait,
        landmarks=landmarks,
        portraits=_portraits(run.store, path, script.header.avatars),
        background=_background(run.store, background),
        pose_film=_film(run.store, order.pose_film),
    )
    run.report("parse", 1, 1)
    return Rehearsal(script=script, assets=assets)


def without_music(rehearsal: Rehearsal) -> Rehearsal:
    """The same words with nothing played: no lead-in waits for music that does not come."""
    return replace(rehearsal, script=replace(rehearsal.script, cues=()))


def _beside(script: Path, name: str) -> str:
    """Where a file that the script names lies.

    A script is words, often somebody else's: it reaches what lies in its own folder and below, and
    nothing more of the machine. A link put there leads wherever its owner wants. Raises
    `MediaError` for a name that leads out.
    """
    if not name:
        return ""
    if "\0" in name or Path(name).is_absolute() or ".." in Path(name).parts:
        raise MediaError(
            f"{script}: {name!r}",
            "leads out of the script's folder",
            "Put the file or a link to it beside the script, or name it on the command line",
        )
    return str(script.parent / name)


def _recording(store: Store, name: str) -> Blob | None:
    if not name:
        return None
    if next(decode_audio(Path(name)), None) is None:
        raise MediaError(name, "holds no sound", "Give a WAV, FLAC, MP3, M4A or OGG file")
    return store.put_file(Path(name))


def _picture(store: Store, name: str) -> Blob | None:
    return _taken(store, name) if name else None


def _taken(store: Store, name: str) -> Blob:
    """A picture in the store. Raises `MediaError` for what is none."""
    remedy = "Give a JPEG, PNG or WebP picture"
    if not Path(name).is_file():
        raise MediaError(name, "no such file", remedy)
    try:
        with Image.open(name) as image:
            image.load()
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise MediaError(name, "is not a picture that can be read", remedy) from error
    return store.put_file(Path(name))


def _portrait(store: Store, name: str) -> tuple[Blob, Blob | None]:
    """A picture with a face, and the face's points where they lie beside it."""
    picture, landmarks = _taken(store, name), _landmarks(store, name)
    points = store.path(landmarks).read_bytes() if landmarks else None
    read_portrait(store.path(picture).read_bytes(), name, points)
    return picture, landmarks


def _portraits(
    store: Store, script: Path, avatars: tuple[tuple[str, str], ...]
) -> tuple[SpeakerPortrait, ...]:
    """The pictures that the header's `Avatar` names, beside the script."""
    found = []
    for speaker, value in avatars:
        look = read_look(speaker, value)
        if look.picture:
            picture, landmarks = _portrait(store, _beside(script, look.picture))
            found.append(SpeakerPortrait(speaker=speaker, picture=picture, landmarks=landmarks))
        elif look.host:
            find_host(look.host)
    return tuple(found)


def _landmarks(store: Store, portrait: str) -> Blob | None:
    """The points of a face that lie beside its picture: `portrait.landmarks.json`."""
    if not portrait:
        return None
    points = Path(portrait).with_suffix(".landmarks.json")
    return store.put_file(points) if points.is_file() else None


def _background(store: Store, name: str) -> Blob | None:
    """A picture, or a video that has at least one frame."""
    if not name or Path(name).suffix.lower() in PICTURES:
        return _picture(store, name)
    return _film(store, name)


def _film(store: Store, name: str) -> Blob | None:
    """A video that has at least one frame."""
    if not name:
        return None
    remedy = "Give a JPEG, PNG or WebP picture, or an MP4, MOV, MKV or WebM video"
    path = Path(name).expanduser()
    if not path.is_file():
        raise MediaError(name, "no such file", remedy)
    try:
        with av.open(str(path)) as container:
            next(container.decode(video=0))
    except (av.FFmpegError, StopIteration, IndexError) as error:
        raise MediaError(name, "is neither a picture nor a video", remedy) from error
    return store.put_file(path)
