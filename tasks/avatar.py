"""Avatar: every presenter's performance, line by line, and the painter that shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from models.avatar import Actor, Painter, Performer, Sitting, open_painter
from models.avatar.register import register_of
from models.avatar.viseme.cast import Register, cast_hosts
from models.avatar.viseme.portrait import read_portrait
from studio.audio import read_flac
from studio.specs import AvatarEngineName, AvatarSpec, PictureSpec
from studio.store import Store
from studio.types import (
    SAMPLE_RATE,
    AvatarClip,
    AvatarPart,
    EngineInfo,
    Fallback,
    Presenters,
    Rehearsal,
    SpeakerPortrait,
    SpeechTrack,
    SpokenLine,
)
from tasks.acting import act_idle, act_line, act_of, post_for
from tasks.film import Reel
from tasks.intake import reading
from tasks.looks import look_of, read_look
from tasks.neural import first_that_serves
from tasks.run import Run
from tasks.seat import Seat
from tasks.stage import stage

MOST_SEATS = 4
"""Speakers that are shown; the others are heard. A fifth face would be too small to read."""

MOST_FPS = 30
"""Frames a second at which a presenter moves: above it, eyes see no difference in lips."""


@stage(
    "avatar",
    tags=("cpu",),
    made_by=(
        "models.avatar",
        "studio.audio",
        "tasks.avatar",
        "tasks.acting",
        "tasks.film",
        "tasks.seat",
    ),
    after=("parse", "speech"),
)
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
    total = len(speech.lines)
    clips: list[AvatarClip] = []
    infos: dict[str, EngineInfo] = {}
    steps: list[Fallback] = []
    for seat in _seats(rehearsal, speech, avatar, seed, run.store):
        done = sum(len(clip.parts) for clip in clips)
        posts = [post_for(seat, avatar, run, engine) for engine in _engines(seat, avatar)]
        tell = partial(_tell, run, done, total + len(clips) + 1)
        (clip, info), taken = first_that_serves(
            run, "avatar", posts, partial(_act, seat, speech, avatar, fps, seed, run, tell)
        )
        steps += _new(taken, steps)
        infos[info.name] = info
        clips.append(clip)
    run.report("avatar", total, total)
    return Presenters(clips=tuple(clips), engines=tuple(infos.values()), fallbacks=tuple(steps))


def _act(
    seat: Seat,
    speech: SpeechTrack,
    avatar: AvatarSpec,
    fps: int,
    seed: int,
    run: Run,
    tell: Callable[[int], None],
    engine: Performer | Actor,
) -> tuple[AvatarClip, EngineInfo]:
    """Everything that one presenter does in an episode. `tell` is told how many parts there are."""
    act = act_of(engine, seat, avatar, fps, run)
    parts = list(act_idle(act, fps, seed, run))
    for line, start in zip(speech.lines, speech.starts, strict=True):
        if line.speaker == seat.speaker:
            parts.append(act_line(act, line, start, fps, seed, run))
            tell(len(parts))
    clip = AvatarClip(
        speaker=seat.speaker,
        engine=act.info.name,
        look=seat.look,
        portrait=seat.portrait,
        landmarks=seat.landmarks,
        kind=act.kind,
        fps=fps,
        num_frames=-(-speech.num_samples * fps // SAMPLE_RATE),
        width_px=act.size_px[0],
        height_px=act.size_px[1],
        alpha=True,
        seed=seat.seed,
        parts=tuple(parts),
    )
    return clip, act.info


def _new(taken: Iterable[Fallback], told: Sequence[Fallback]) -> list[Fallback]:
    """Steps that were not told of another seat: the second one meets what the first has met."""
    known = {(step.wanted, step.used) for step in told}
    return [step for step in taken if (step.wanted, step.used) not in known]


def _tell(run: Run, done: int, total: int, parts: int) -> None:
    run.report("avatar", done + parts, total)


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
    """What draws a clip in the picture, `size_px` square where it is drawn and not filmed."""
    if clip.kind == "frames":
        yield Reel(clip.parts, store)
        return
    portrait = None
    if clip.portrait is not None:
        points = store.path(clip.landmarks).read_bytes() if clip.landmarks else None
        portrait = read_portrait(store.path(clip.portrait).read_bytes(), "portrait", points)
    sitting = Sitting(
        look=clip.look,
        size_px=size_px,
        fps=clip.fps,
        seed=clip.seed,
        facing=facing,
        portrait=portrait,
        motion_scale=motion_scale,
    )
    # `animate` wrote the engine's own name.
    engine = cast("AvatarEngineName", clip.engine)
    parts = [(part.start_frame, _read_motion(store, part)) for part in clip.parts]
    with open_painter(engine, sitting, parts) as painter:
        yield painter


def _read_motion(store: Store, part: AvatarPart) -> NDArray[np.float32]:
    motion: NDArray[np.float32] = np.load(store.path(part.data), allow_pickle=False)
    return motion


def _seats(
    rehearsal: Rehearsal, speech: SpeechTrack, avatar: AvatarSpec, seed: int, store: Store
) -> tuple[Seat, ...]:
    """Who is shown: those who speak most, in order of appearance; a portrait sits first."""
    longest: dict[str, SpokenLine] = {}
    spoken = dict.fromkeys(rehearsal.script.speakers, 0)
    for line in speech.lines:
        spoken[line.speaker] += line.num_samples
        known = longest.get(line.speaker)
        if known is None or line.num_samples > known.num_samples:
            longest[line.speaker] = line
    most = sorted(spoken, key=lambda speaker: -spoken[speaker])[:MOST_SEATS]
    speakers = tuple(speaker for speaker in spoken if speaker in most)
    told = dict(rehearsal.script.header.avatars)
    if avatar.host:
        told[""] = avatar.host
    asked = {speaker: look_of(told, speaker) for speaker in speakers}
    named = {speaker.casefold() for speaker in told}
    wanted = {s: look.host for s, look in asked.items() if look.host and s.casefold() in named}
    wanted[""] = read_look("", told.get("", "")).host
    # How high a voice is shows in the speaker's longest line.
    registers: dict[str, Register] = {s: register_of(_sound(longest[s], store)) for s in speakers}
    looks = cast_hosts(speakers, wanted, registers)
    assets = rehearsal.assets
    own = {portrait.speaker.casefold(): portrait for portrait in assets.portraits}
    if assets.portrait is not None and speakers:
        # The command line's picture wins, for who speaks first.
        own[speakers[0].casefold()] = SpeakerPortrait(
            speaker=speakers[0], picture=assets.portrait, landmarks=assets.landmarks
        )
    seats = []
    for place, speaker in enumerate(speakers):
        pictured = own.get(speaker.casefold())
        if pictured is None and speaker.casefold() not in named and not avatar.host:
            pictured = own.get("")
        seats.append(
            Seat(
                speaker=speaker,
                look=looks[speaker],
                portrait=pictured.picture if pictured else None,
                landmarks=pictured.landmarks if pictured else None,
                engine=asked[speaker].engine,
                pose_film=assets.pose_film,
                seed=seed + place,
                lines=tuple(line for line in speech.lines if line.speaker == speaker),
            )
        )
    return tuple(seats)


def _sound(line: SpokenLine, store: Store) -> NDArray[np.float32]:
    with reading():
        return read_flac(store.path(line.audio))


def _engines(seat: Seat, avatar: AvatarSpec) -> tuple[AvatarEngineName, ...]:
    """The engines to try for a seat: the one its `Avatar:` names first."""
    return tuple(dict.fromkeys((*((seat.engine,) if seat.engine else ()), *avatar.engine)))
