"""A line acted by whichever engine: motion that the encode draws, or frames that it shows."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, assert_never, cast

import numpy as np
from numpy.typing import NDArray

from models.avatar import (
    Actor,
    LineSound,
    Performer,
    Role,
    open_actor,
    open_performer,
)
from models.avatar.did_api import CloudActor, credits_for
from models.needs import NEURAL, avatar_need_gib
from models.published import avatar_weights_home
from studio.audio import read_flac
from studio.errors import EngineUnavailable, NoFaceError, StudioError
from studio.keys import code_version, fingerprint
from studio.specs import AvatarEngineName, AvatarSpec, DeviceSpec
from studio.store import Store
from studio.types import SAMPLE_RATE, AvatarPart, Blob, EngineInfo, SpokenLine
from tasks.checkpoints import weights_identity
from tasks.film import IDLE_LINE, record
from tasks.intake import reading
from tasks.neural import Post
from tasks.run import Run, secret
from tasks.seat import Seat, marks_of, picture_of, pose_film_of

IDLE_S = 2.0
"""Length of the film of a presenter listening; it runs to and fro, so it seems twice as long."""

_MADE_BY = ("models.avatar", "studio.audio", "tasks.film")

_BOUGHT_FORM = 1
"""Raised when films that were paid for are kept in another form. No change of the code makes them
be paid for again.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """An engine ready to act for one seat. `shoot` stores a line and says how many frames it has;
    `identity` is what besides the line determines its output, `made_by` the code that does. An
    engine that is not `seeded` makes the same whatever the seed.
    """

    info: EngineInfo
    kind: Literal["motion", "frames"]
    size_px: tuple[int, int]
    identity: str
    shoot: Callable[[LineSound], tuple[Blob, int]]
    made_by: tuple[str, ...] = _MADE_BY
    seeded: bool = True


@contextmanager
def open_actor_for(
    seat: Seat, avatar: AvatarSpec, run: Run, engine: AvatarEngineName, device: DeviceSpec
) -> Iterator[Performer | Actor]:
    """The engine for this seat. Raises `EngineUnavailable` when it does not run here."""
    match engine:
        case "viseme" | "still":
            with open_performer(engine) as performer:
                yield performer
        case "wav2lip" | "sadtalker" | "did_api":
            role = Role(
                portrait=picture_of(seat, avatar, run.store),
                spec=avatar,
                marks=marks_of(seat, run.store),
                pose_film=pose_film_of(seat, run.store) if engine == "sadtalker" else None,
                commercial=run.commercial,
            )
            key = secret("did") if engine == "did_api" else ""
            with ExitStack() as stack:
                try:
                    actor = stack.enter_context(
                        open_actor(engine, role, device, cloud_key=key, pause=run.pause)
                    )
                except NoFaceError as error:
                    raise _faceless(seat, engine, error) from error
                yield actor
        case _:
            assert_never(engine)


def post_for(
    seat: Seat, avatar: AvatarSpec, run: Run, engine: AvatarEngineName
) -> Post[Performer | Actor]:
    """The engine as a stage asks for it: a neural one stays warm for this seat's portrait."""

    def open_at(device: DeviceSpec, batch: int) -> AbstractContextManager[Performer | Actor]:
        told = avatar.model_copy(update={"batch": batch})
        return open_actor_for(seat, told, run, engine, device)

    neural = engine in NEURAL
    return Post(
        name=engine,
        family="avatar",
        spec=(_filmed_identity(engine, seat, avatar), run.commercial) if neural else None,
        open_at=open_at,
        neural=neural,
        need_gib=partial(avatar_need_gib, engine, avatar),
        batch=avatar.batch,
    )


def act_of(engine: Performer | Actor, seat: Seat, avatar: AvatarSpec, fps: int, run: Run) -> Act:
    """An open engine, ready to act for a seat in this run."""
    # Engines give their own name.
    name = cast("AvatarEngineName", engine.info.name)
    if name in ("viseme", "still"):
        performer = cast("Performer", engine)
        return Act(
            info=performer.info,
            kind="motion",
            size_px=(avatar.size_px, avatar.size_px),
            identity=performer.info.name,
            shoot=partial(_motion, performer.perform, run.store),
        )
    actor = cast("Actor", engine)
    act = Act(
        info=actor.info,
        kind="frames",
        size_px=actor.size_px,
        identity=_filmed_identity(name, seat, avatar),
        shoot=partial(_shoot, actor, seat, fps, run.store),
        made_by=() if name == "did_api" else _MADE_BY,
        seeded=name == "sadtalker",
    )
    if isinstance(actor, CloudActor):
        _tell_cost(actor, act, seat, fps, run)
    return act


def act_line(act: Act, line: SpokenLine, start: int, fps: int, seed: int, run: Run) -> AvatarPart:
    """A line's part, from memory where it is known: its key knows no place on the timeline."""
    num_frames = -(-line.num_samples * fps // SAMPLE_RATE)
    key = _line_key(act, line, fps, seed)
    part = run.store.recall(key, AvatarPart)
    if part is None:
        with reading():
            samples = read_flac(run.store.path(line.audio))
        sound = LineSound(
            samples=samples,
            phonemes=line.phonemes,
            words=line.words,
            num_frames=num_frames,
            fps=fps,
            seed=seed,
        )
        data, count = act.shoot(sound)
        known = AvatarPart(line=line.index, start_frame=0, num_frames=count, data=data)
        part = run.store.remember(key, known)
    # Nearest frame: the lips are never more than half a frame off the sound.
    start_frame = (start * fps + SAMPLE_RATE // 2) // SAMPLE_RATE
    return AvatarPart(
        line=line.index, start_frame=start_frame, num_frames=part.num_frames, data=part.data
    )


def act_idle(act: Act, fps: int, seed: int, run: Run) -> tuple[AvatarPart, ...]:
    """How a filmed presenter listens; a drawn one does so by itself."""
    if act.kind == "motion":
        return ()
    num_samples = round(IDLE_S * SAMPLE_RATE)
    num_frames = round(IDLE_S * fps)
    chance = seed if act.seeded else 0
    key = fingerprint("idle", code_version(*act.made_by), act.identity, fps, chance)
    part = run.store.recall(key, AvatarPart)
    if part is None:
        silence = LineSound(
            samples=np.zeros(num_samples, np.float32),
            phonemes=(),
            words=(),
            num_frames=num_frames,
            fps=fps,
            seed=seed,
        )
        data, count = act.shoot(silence)
        film = AvatarPart(line=IDLE_LINE, start_frame=0, num_frames=count, data=data)
        part = run.store.remember(key, film)
    return (part,)


def _shoot(actor: Actor, seat: Seat, fps: int, store: Store, sound: LineSound) -> tuple[Blob, int]:
    """Film a line; a service looks for the face only when it gets the first one."""
    try:
        return record(actor.film(sound), fps, store)
    except NoFaceError as error:
        raise _faceless(seat, actor.info.name, error) from error


def _faceless(seat: Seat, engine: str, error: NoFaceError) -> StudioError:
    """A user's picture without a face is the user's to mend; a drawn host that an engine does not
    take for a face is a reason to step down.
    """
    if seat.portrait is not None:
        return NoFaceError(error.where, error.found, error.remedy)
    remedy = "Give it a photograph with --avatar-image"
    return EngineUnavailable("avatar", f"{engine}: {error.found}", remedy)


def _line_key(act: Act, line: SpokenLine, fps: int, seed: int) -> str:
    chance = seed if act.seeded else 0
    code = code_version(*act.made_by)
    return fingerprint("act", code, act.identity, line.audio, line.phonemes, fps, chance)


def _tell_cost(actor: CloudActor, act: Act, seat: Seat, fps: int, run: Run) -> None:
    """Say what the lines that are not filmed yet will cost, before the first is sent.

    Raises `EngineUnavailable` when the account does not hold that much.
    """
    due = [
        line.num_samples
        for line in seat.lines
        if run.store.recall(_line_key(act, line, fps, 0), AvatarPart) is None
    ]
    if not due:
        return
    cost, left = credits_for(due), actor.balance()
    seconds = sum(due) / SAMPLE_RATE
    holds = "the account does not say how many it holds" if left is None else f"{left} are left"
    run.tell(
        f"D-ID films {len(due)} lines of {seat.speaker or 'the narrator'}, {seconds:.0f} s: "
        f"about {cost} credits; {holds}"
    )
    if left is not None and left < cost:
        found = f"D-ID needs about {cost} credits for {seconds:.0f} s, {left} are left"
        raise EngineUnavailable("avatar did_api", found, "Buy more, or choose another engine")


def _filmed_identity(engine: AvatarEngineName, seat: Seat, avatar: AvatarSpec) -> str:
    """What determines a filmed presenter besides its lines."""
    who = (seat.portrait or seat.look, seat.landmarks)
    if engine == "did_api":
        return fingerprint(engine, _BOUGHT_FORM, *who, avatar.endpoint, avatar.size_px)
    folder = Path(avatar.weights_dir).expanduser() if avatar.weights_dir else avatar_weights_home()
    # Files count by their content, not by where they lie.
    acted = avatar.sadtalker.model_copy(update={"pose_film": ""})
    settings = avatar.model_copy(update={"weights_dir": "", "engine": (), "sadtalker": acted})
    film = seat.pose_film if engine == "sadtalker" else None
    return fingerprint(engine, weights_identity(folder), settings, *who, film)


def _motion(
    perform: Callable[[LineSound], NDArray[np.float32]], store: Store, sound: LineSound
) -> tuple[Blob, int]:
    buffer = io.BytesIO()
    np.save(buffer, perform(sound))
    return store.put_bytes(buffer.getvalue(), ".npy"), sound.num_frames
