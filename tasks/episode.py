"""Mix, encode and package as stages of an episode: what each needs of the values before it."""

from __future__ import annotations

from dataclasses import replace

from models.picture.layout import frame_size
from studio.captions import make_captions
from studio.keys import code_version, fingerprint
from studio.slugs import slug
from studio.specs import AvatarSpec, EncodeSpec, MixSpec, PictureSpec
from studio.timeline import chapters, place_music
from studio.types import (
    EncodedVideo,
    Episode,
    Mix,
    MusicTrack,
    Presenters,
    Rehearsal,
    SpeechTrack,
)
from tasks.delivery import is_intact
from tasks.encode import Show, encode_episode
from tasks.mix import mix_episode
from tasks.nvenc import open_encoder
from tasks.package import Brief, Contents, package_episode
from tasks.run import Run
from tasks.soundtrack import encode_soundtrack
from tasks.stage import stage

_PACKED_BY = ("tasks", "studio", "models.picture", "models.avatar")


@stage(
    "mix",
    tags=("cpu",),
    made_by=("models.sound", "models.music.fit", "studio.timeline", "studio.audio", "tasks.mix"),
    after=("parse", "speech", "music"),
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
    tags=("cpu",),
    made_by=(
        "models.picture",
        "models.avatar",
        "studio.captions",
        "studio.timeline",
        "studio.encoders",
        "studio.sinks",
        "studio.pyav_sink",
        "studio.pipe_sink",
        "tasks.soundtrack",
        "tasks.encode",
        "tasks.backdrop",
    ),
    after=("parse", "speech", "music", "avatar", "mix"),
)
def encode(
    rehearsal: Rehearsal,
    speech: SpeechTrack,
    mix: Mix,
    presenters: Presenters,
    picture: PictureSpec,
    avatar: AvatarSpec,
    sound: MixSpec,
    spec: EncodeSpec,
    seed: int,
    *,
    run: Run,
) -> EncodedVideo:
    """Draw and encode the episode in one pass, with the first encoder that encodes a frame here.

    The sound in it is the verified soundtrack, copied.
    """
    soundtrack = encode_soundtrack(
        mix, "aac", spec.audio_kbps, true_peak_dbtp=sound.true_peak_dbtp, store=run.store
    )
    script, assets = rehearsal.script, rehearsal.assets
    if assets.background is not None:
        picture = picture.model_copy(update={"background": str(run.store.path(assets.background))})
    show = Show(
        title=script.title if picture.show_title else "",
        speech=speech,
        mix=mix,
        soundtrack=soundtrack.audio,
        clips=presenters.clips,
        captions=make_captions(script, speech),
        chapters=chapters(script, speech),
        motion_scale=avatar.motion_scale,
        seed=seed,
    )
    width, height = frame_size(picture.aspect, picture.quality)
    with open_encoder(spec.encoder, width, height, run) as chosen:
        video = encode_episode(
            show,
            picture,
            spec,
            chosen.trial,
            card=chosen.card,
            store=run.store,
            report=lambda done, total: run.report("encode", done, total),
        )
    return replace(video, fallbacks=chosen.steps)


@stage(
    "package",
    tags=("cpu",),
    made_by=(),
    after=("parse", "speech", "music", "avatar", "mix", "encode"),
    remembered=False,
)
def package(
    name: str,
    rehearsal: Rehearsal,
    speech: SpeechTrack,
    music: MusicTrack,
    mix: Mix,
    presenters: Presenters | None,
    video: EncodedVideo | None,
    brief: Brief,
    seed: int,
    *,
    run: Run,
) -> Episode:
    """Write the episode's folder, hold the release gate, let the folder appear.

    A folder that already holds this very package is left as it is.
    """
    script = rehearsal.script
    made = (speech, music, *((presenters,) if presenters else ()))
    steps = tuple(step for part in made for step in part.fallbacks)
    contents = Contents(
        script=script,
        speech=speech,
        music=music,
        placements=place_music(script, speech, brief.mix) if music.pieces else (),
        mix=mix,
        video=video,
        clips=presenters.clips if presenters else (),
        captions=make_captions(script, speech),
        chapters=chapters(script, speech),
        engines=tuple(engine for part in made for engine in part.engines),
        fallbacks=(*steps, *(video.fallbacks if video else ())),
        seed=seed,
    )
    key = fingerprint("package", code_version(*_PACKED_BY), contents, brief, name)
    known = run.store.recall(key, Episode)
    if known is not None and is_intact(run.out_dir / slug(name), known.manifest_sha256):
        run.report("package", 1, 1)
        return replace(known, folder=str(run.out_dir / slug(name)))
    episode = package_episode(
        contents,
        brief,
        out_dir=run.out_dir,
        store=run.store,
        name=name,
        report=lambda done, total: run.report("package", done, total),
    )
    return run.store.remember(key, episode)
