"""Avatar: every presenter's performance, line by line, and the painter that shows it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from models.avatar import LineSound, Painter, Performer, Sitting, open_painter, open_performer
from models.avatar.register import register_of
from models.avatar.viseme.cast import Register, cast_hosts
from studio.audio import read_flac
from studio.keys import code_version, fingerprint
from studio.specs import AvatarEngineName, AvatarSpec, PictureSpec
from studio.store import Store
from studio.types import (
    SAMPLE_RATE,
    AvatarClip,
    AvatarPart,
    Presenters,
    Rehearsal,
    SpeechTrack,
    SpokenLine,
)
from tasks.run import Run, first_that_works
from tasks.stage import stage

_MADE_BY = ("models.avatar", "studio.audio")

MOST_SEATS = 4
"""Speakers that are shown; the others are heard. A fifth face would be too small to read."""

MOST_FPS = 30
"""Frames a second at which a presenter moves: above it, eyes see no difference in lips."""


@stage("avatar", tags=("cpu",), made_by=(*_MADE_BY, "tasks.avatar"), after=("speech",))
def animate(
    rehearsal: Rehearsal,
    speech: SpeechTrack,
    avatar: AvatarSpec,
    picture: PictureSpec,
    seed: int,
    *,
    run: Run,
) -> Presenters:
    """Animate every presenter, line by line; a line that was animated before is not done again."""
    if not avatar.enabled:
        return Presenters(clips=())
    fps = presenter_fps(picture.fps)
    seats = _seats(rehearsal, speech)
    wanted = dict(rehearsal.script.header.avatars)
    if avatar.host:
        wanted[""] = avatar.host
    looks = cast_hosts(seats, wanted, _registers(seats, speech, run.store))
    clips: list[AvatarClip] = []
    done, total = 0, len(speech.lines)
    with first_that_works(run, "avatar", avatar.engine, open_performer) as (performer, steps):
        info = performer.info
        for seat, speaker in enumerate(seats):
            parts: list[AvatarPart] = []
            for line, start in zip(speech.lines, speech.starts, strict=True):
                if line.speaker != speaker:
                    continue
                parts.append(_part(performer, line, start, fps, seed, run.store))
                done += 1
                run.report("avatar", done, total)
            clips.append(
                AvatarClip(
                    speaker=speaker,
                    engine=info.name,
                    look=looks[speaker],
                    portrait=rehearsal.assets.portrait if seat == 0 else None,
                    kind="motion",
                    fps=fps,
                    num_frames=-(-speech.num_samples * fps // SAMPLE_RATE),
                    width_px=avatar.size_px,
                    height_px=avatar.size_px,
                    alpha=True,
                    seed=seed + seat,
                    parts=tuple(parts),
                )
            )
    run.report("avatar", total, total)
    return Presenters(clips=tuple(clips), engines=(info,), fallbacks=steps)


def presenter_fps(fps: int) -> int:
    """The rate of a presenter in a picture of `fps`: the picture's own, or a whole part of it."""
    share = -(-fps // MOST_FPS)
    return fps // share if fps % share == 0 else MOST_FPS


@contextmanager
def open_presenter(
    clip: AvatarClip,
    size_px: int,
    facing: Literal["left", "front", "right"],
    motion_scale: float,
    store: Store,
) -> Iterator[Painter]:
    """What draws a clip in the picture, `size_px` square."""
    sitting = Sitting(
        look=clip.look,
        size_px=size_px,
        fps=clip.fps,
        seed=clip.seed,
        facing=facing,
        motion_scale=motion_scale,
    )
    parts = [(part.start_frame, _read_motion(store, part)) for part in clip.parts]
    # `animate` wrote the engine's own name.
    engine = cast("AvatarEngineName", clip.engine)
    with open_painter(engine, sitting, parts) as painter:
        yield painter


def _part(
    performer: Performer, line: SpokenLine, start: int, fps: int, seed: int, store: Store
) -> AvatarPart:
    """A line's motion, from memory where it is known: its key knows no place on the timeline."""
    num_frames = -(-line.num_samples * fps // SAMPLE_RATE)
    key = fingerprint(
        "motion", code_version(*_MADE_BY), performer.info.name, line.audio, line.phonemes, fps, seed
    )
    part = store.recall(key, AvatarPart)
    if part is None:
        sound = LineSound(
            samples=read_flac(store.path(line.audio)),
            phonemes=line.phonemes,
            words=line.words,
            num_frames=num_frames,
            fps=fps,
            seed=seed,
        )
        buffer = io.BytesIO()
        np.save(buffer, performer.perform(sound))
        data = store.put_bytes(buffer.getvalue(), ".npy")
        part = store.remember(
            key, AvatarPart(line=line.index, start_frame=0, num_frames=num_frames, data=data)
        )
    # Nearest frame: the lips are never more than half a frame off the sound.
    start_frame = (start * fps + SAMPLE_RATE // 2) // SAMPLE_RATE
    return AvatarPart(
        line=line.index, start_frame=start_frame, num_frames=part.num_frames, data=part.data
    )


def _read_motion(store: Store, part: AvatarPart) -> NDArray[np.float32]:
    motion: NDArray[np.float32] = np.load(store.path(part.data), allow_pickle=False)
    return motion


def _registers(speakers: tuple[str, ...], speech: SpeechTrack, store: Store) -> dict[str, Register]:
    """How high each speaker's voice is, heard in the speaker's longest line."""
    longest: dict[str, SpokenLine] = {}
    for line in speech.lines:
        known = longest.get(line.speaker)
        if known is None or line.num_samples > known.num_samples:
            longest[line.speaker] = line
    return {s: register_of(read_flac(store.path(longest[s].audio))) for s in speakers}


def _seats(rehearsal: Rehearsal, speech: SpeechTrack) -> tuple[str, ...]:
    """Who is shown: those who speak most, in order of appearance."""
    spoken = dict.fromkeys(rehearsal.script.speakers, 0)
    for line in speech.lines:
        spoken[line.speaker] += line.num_samples
    most = sorted(spoken, key=lambda speaker: -spoken[speaker])[:MOST_SEATS]
    return tuple(speaker for speaker in spoken if speaker in most)
