"""The encode stage: one pass over the frames, one encode, sound beside it, one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from models.picture.hearing import Hearing
from models.picture.host_layer import Host
from models.picture.layout import Layout, lay_out
from models.picture.planes import Planes
from models.picture.scene import Programme, Scene
from studio.encoders import open_sink
from studio.errors import EncodeError
from studio.ffmpeg import Trial
from studio.sinks import Job
from studio.specs import EncodeSpec, PictureSpec
from studio.store import Store
from studio.timeline import frame_count
from studio.types import (
    SAMPLE_RATE,
    AvatarClip,
    Blob,
    Caption,
    Chapter,
    EncodedVideo,
    Mix,
    SpeechTrack,
)
from tasks.avatar import open_presenter
from tasks.backdrop import open_backdrop
from tasks.intake import reading

REPORTS_PER_SECOND = 4
"""How often progress is told, per second of picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """Everything that is seen and heard in one episode.

    `soundtrack` is the mix as AAC in M4A, copied into the video; without one the mix is encoded.
    `seed` is the generated studio's.
    """

    title: str
    speech: SpeechTrack
    mix: Mix
    clips: tuple[AvatarClip, ...] = ()
    captions: tuple[Caption, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    soundtrack: Blob | None = None
    motion_scale: float = 1.0
    seed: int = 0


def encode_episode(
    show: Show,
    picture: PictureSpec,
    encode: EncodeSpec,
    trial: Trial,
    *,
    store: Store,
    card: int | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> EncodedVideo:
    """Draw and encode an episode with the encoder that `trial` found to work.

    The picture has `frame_count(mix.num_samples, fps)` frames. `report(done, total)` is told about
    four times a second of picture and may raise to stop. `card` is the one whose NVENC encodes.
    Memory does not grow with the length, and the file enters the store only when it is complete.

    Raises `EncodeError` when the encoder fails or is killed, `MediaError` for a background that
    cannot be decoded, `OutputError` when there is no room.
    """
    layout = lay_out(picture, len(show.clips))
    num_frames = frame_count(show.mix.num_samples, picture.fps)
    job = Job(
        width=layout.width,
        height=layout.height,
        fps=picture.fps,
        num_frames=num_frames,
        sound=store.path(show.soundtrack or show.mix.audio),
        title=show.title,
        chapters=show.chapters,
        card=card,
    )
    every = max(1, picture.fps // REPORTS_PER_SECOND)
    with store.draft(".mp4") as draft, open_scene(show, picture, layout, store) as scene:
        with open_sink(trial, encode, job, draft.path) as sink:
            canvas = Planes(*sink.planes)
            for frame in range(num_frames):
                scene.draw(frame, canvas)
                sink.send()
                if frame % every == 0:
                    report(frame, num_frames)
        if not draft.path.stat().st_size:
            raise EncodeError(trial.name, "the file is empty", "Run `studio doctor`")
    report(num_frames, num_frames)
    return EncodedVideo(
        video=draft.taken(),
        encoder=trial.name,
        width_px=layout.width,
        height_px=layout.height,
        fps=picture.fps,
        num_frames=num_frames,
    )


@contextmanager
def open_scene(show: Show, picture: PictureSpec, layout: Layout, store: Store) -> Iterator[Scene]:
    """The picture of an episode, ready to be drawn from frame 0 on; also posters use it."""
    with ExitStack() as stack:
        sound = stack.enter_context(soundfile.SoundFile(store.path(show.mix.audio)))

        def read(num_samples: int) -> NDArray[np.float32]:
            with reading():
                return np.asarray(sound.read(num_samples, dtype="float32"), np.float32)

        shown = list(zip(show.clips, layout.hosts, strict=False))
        hosts = tuple(
            Host(
                name=display_name(clip.speaker),
                painter=stack.enter_context(
                    open_presenter(clip, box.w, _facing(seat, len(shown)), show.motion_scale, store)
                ),
                fps=clip.fps,
                turns=turns_of(show.speech, clip.speaker),
            )
            for seat, (clip, box) in enumerate(shown)
        )
        programme = Programme(
            title=show.title,
            hosts=hosts,
            captions=show.captions,
            chapters=show.chapters,
            desk=not picture.background,
        )
        backdrop = open_backdrop(picture, layout, show.seed)
        yield Scene(picture, layout, programme, backdrop, Hearing(read))


def turns_of(speech: SpeechTrack, speaker: str) -> tuple[tuple[int, int], ...]:
    """When a speaker speaks: `(start, end)` in samples, lines less than a second apart joined."""
    turns: list[tuple[int, int]] = []
    for line, start in zip(speech.lines, speech.starts, strict=True):
        if line.speaker != speaker:
            continue
        if turns and start - turns[-1][1] < SAMPLE_RATE:
            turns[-1] = (turns[-1][0], start + line.num_samples)
        else:
            turns.append((start, start + line.num_samples))
    return tuple(turns)


def display_name(speaker: str) -> str:
    """A speaker's name as it is shown: names in capitals are set in lower case with initials."""
    spaced = speaker.replace("_", " ").strip()
    return spaced.title() if spaced.isupper() else spaced


def _facing(seat: int, seats: int) -> Literal["left", "front", "right"]:
    """Hosts at the sides look towards the middle."""
    middle = (seats - 1) / 2
    if seat == middle:
        return "front"
    return "right" if seat < middle else "left"
