"""Mix, encode and package as stages of an episode: what each needs of the values before it."""

from __future__ import annotations

from dataclasses import replace

from studio.captions import make_captions
from studio.ffmpeg import choose_encoder
from studio.specs import AvatarSpec, EncodeSpec, MixSpec, PictureSpec
from studio.timeline import chapters, place_music
from studio.types import EncodedVideo, Mix, MusicTrack, Presenters, Rehearsal, SpeechTrack
from tasks.encode import Show, encode_episode
from tasks.mix import mix_episode
from tasks.run import Run
from tasks.stage import stage


@stage(
    "mix",
    tags=("cpu",),
    made_by=("models.sound", "models.music.fit", "studio.timeline", "studio.audio", "tasks.mix"),
    after=("speech", "music"),
)
def mix_sound(
    rehearsal: Rehearsal, speech: SpeechTrack, music: MusicTrack, mix: MixSpec, *, run: Run
) -> Mix:
    """Mix speech and music, duck, master to the loudness; stems are kept."""
    run.report("mix", 0, 1)
    placements = place_music(rehearsal.script, speech, mix) if music.pieces else ()
    mixed = mix_episode(speech, music, placements, mix, store=run.store)
    run.report("mix", 1, 1)
    return mixed


@stage(
    "encode",
    tags=("cpu", "gpu:nvenc"),
    made_by=(
        "models.picture",
        "models.avatar",
        "studio.captions",
        "studio.timeline",
        "studio.sinks",
        "studio.pyav_sink",
        "studio.pipe_sink",
        "tasks.encode",
        "tasks.backdrop",
    ),
    after=("avatar", "mix"),
)
def encode(
    rehearsal: Rehearsal,
    speech: SpeechTrack,
    mix: Mix,
    presenters: Presenters,
    picture: PictureSpec,
    avatar: AvatarSpec,
    spec: EncodeSpec,
    seed: int,
    *,
    run: Run,
) -> EncodedVideo:
    """Draw and encode the episode in one pass, with the first encoder that encodes a frame here."""
    trial, steps = choose_encoder(spec.encoder[:1] if run.strict else spec.encoder)
    script, assets = rehearsal.script, rehearsal.assets
    if assets.background is not None:
        picture = picture.model_copy(update={"background": str(run.store.path(assets.background))})
    show = Show(
        title=script.title if picture.show_title else "",
        speech=speech,
        mix=mix,
        clips=presenters.clips,
        captions=make_captions(script, speech),
        chapters=chapters(script, speech),
        motion_scale=avatar.motion_scale,
        seed=seed,
    )
    video = encode_episode(
        show,
        picture,
        spec,
        trial,
        store=run.store,
        report=lambda done, total: run.report("encode", done, total),
    )
    return replace(video, fallbacks=steps)
