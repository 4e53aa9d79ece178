"""Music: a piece for every cue, composed while the speech still speaks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial

from models.music import Composer, CueSpec, Piece, open_composer
from models.needs import NEURAL, music_need_gib
from studio.audio import decode_audio, open_flac
from studio.errors import EngineUnavailable, MediaError
from studio.keys import code_version, fingerprint
from studio.specs import DeviceSpec, MixSpec, MusicEngineName, MusicSpec, VoiceSpec
from studio.store import Store
from studio.timeline import seconds_estimate
from studio.types import SAMPLE_RATE, Blob, MusicCue, MusicPiece, MusicTrack, Rehearsal
from tasks.intake import fed
from tasks.neural import Post, first_that_serves
from tasks.run import Run
from tasks.sharing import share_composer
from tasks.stage import stage

LONG_S, STEP_S = 45.0, 30.0
"""From this length on a piece has a form that any number of its bars can leave off; shorter ones
are shaped to their length. Half a minute more is a dozen bars, made in a second.
"""

_MADE_BY = ("models.music", "studio.audio")


@stage(
    "music",
    tags=("cpu",),
    made_by=(*_MADE_BY, "studio.timeline", "tasks.music"),
    after=("parse",),
)
def score(
    rehearsal: Rehearsal,
    voice: VoiceSpec,
    music: MusicSpec,
    mix: MixSpec,
    seed: int,
    *,
    run: Run,
) -> MusicTrack:
    """Make a piece for every cue that plays; a piece that was made before is not made again.

    How long a piece must be is known only when its lines are spoken. It is composed for an upper
    estimate of that length from the words, and fitted to the sample by the mix.
    """
    script, assets = rehearsal.script, rehearsal.assets
    cues = [cue for cue in script.cues if cue.action == "play"]
    files = {cue.index: assets.music for cue in cues if assets.music} | dict(assets.cue_files)
    pieces = [
        _recorded(run.store, cue, files[cue.index], music) for cue in cues if files.get(cue.index)
    ]
    lengths = seconds_estimate(script, voice, mix)
    composed = [cue for cue in cues if not files.get(cue.index)]
    specs = [
        CueSpec(
            prompt=cue.prompt,
            seconds=min(music.max_piece_s, _rounded(lengths[cue.index])),
            seed=seed + cue.index,
        )
        for cue in composed
    ]
    made = (
        _compose(composed, specs, music, run)
        if composed
        else MusicTrack(sample_rate=SAMPLE_RATE, pieces=())
    )
    return MusicTrack(
        sample_rate=SAMPLE_RATE,
        pieces=tuple(sorted((*pieces, *made.pieces), key=lambda piece: piece.cue)),
        engines=made.engines,
        fallbacks=made.fallbacks,
    )


def _compose(
    cues: Sequence[MusicCue], specs: Sequence[CueSpec], music: MusicSpec, run: Run
) -> MusicTrack:
    """Pieces for cues that are made of words, from memory where they are known.

    All that are not known are composed in one call, which a neural engine makes one batch of.
    """
    posts = [_post(name, music, len(cues), run) for name in music.engine]
    made, steps = first_that_serves(
        run, "music", posts, lambda engine: _make(engine, cues, specs, run)
    )
    return replace(made, fallbacks=steps)


def _make(
    engine: Composer, cues: Sequence[MusicCue], specs: Sequence[CueSpec], run: Run
) -> MusicTrack:
    """The pieces of one engine, from memory where they are known."""
    info = engine.info
    keys = [
        fingerprint("piece", code_version(*_MADE_BY), info.name, info.identity, spec)
        for spec in specs
    ]
    known = [run.store.recall(key, MusicPiece) for key in keys]
    todo = [place for place, piece in enumerate(known) if piece is None]
    run.report("music", len(cues) - len(todo), len(cues))
    made = engine.compose([specs[place] for place in todo])
    for count, (place, piece) in enumerate(zip(todo, made, strict=True), 1):
        stored = _store(piece, cues[place], info.name, run.store)
        known[place] = run.store.remember(keys[place], stored)
        run.report("music", len(cues) - len(todo) + count, len(cues))
    pieces = (piece for piece in known if piece is not None)
    placed = (replace(p, cue=c.index) for p, c in zip(pieces, cues, strict=True))
    return MusicTrack(sample_rate=SAMPLE_RATE, pieces=tuple(placed), engines=(info,))


def _post(name: MusicEngineName, music: MusicSpec, num_cues: int, run: Run) -> Post[Composer]:
    # What the engine does not read must not keep two episodes from sharing one.
    heard_of = {
        "engine": (name,),
        "enabled": True,
        "max_piece_s": MusicSpec().max_piece_s,
        "file_offset_s": 0.0,
    }
    told = music.model_copy(update=heard_of)

    def open_at(device: DeviceSpec, batch: int) -> AbstractContextManager[Composer]:
        spec = told.model_copy(update={"batch": batch}) if neural else music
        return _open(name, spec, device, commercial=run.commercial)

    neural = name in NEURAL
    transformers = name == "musicgen_hf"
    return Post(
        name=name,
        family="music",
        spec=(told, run.commercial),
        open_at=open_at,
        neural=neural,
        need_gib=partial(music_need_gib, name, music),
        # In a batch the other places are for the cues of other episodes.
        batch=min(music.batch, num_cues) if run.calls is None else music.batch,
        # audiocraft computes in half precision on a card whatever is asked for.
        half="fp16" if transformers else None,
        can_offload=transformers,
        sharing=share_composer(name, music),
    )


def _rounded(seconds: float) -> float:
    """An estimate in steps: a few words more in a line must not make another piece."""
    return seconds if seconds < LONG_S else math.ceil(seconds / STEP_S) * STEP_S


@contextmanager
def _open(
    name: MusicEngineName, music: MusicSpec, device: DeviceSpec, *, commercial: bool
) -> Iterator[Composer]:
    with open_composer(name, music, device) as engine:
        if commercial and not engine.info.commercial:
            found = f"the weights of {name} ({engine.info.weights_licence}) forbid commercial use"
            raise EngineUnavailable("music", found, "Use arranger, or leave out --commercial")
        yield engine


def _store(piece: Piece, cue: MusicCue, engine: str, store: Store) -> MusicPiece:
    """Write a piece chunk by chunk as it is made, then its ending."""
    lengths: list[int] = []
    with store.draft(".flac") as draft, open_flac(draft.path, 2) as file:
        for chunk in piece.chunks:
            file.write(chunk)
            lengths.append(len(chunk))
        if piece.ending is not None:
            file.write(piece.ending)
    return MusicPiece(
        cue=cue.index,
        engine=engine,
        prompt=cue.prompt,
        audio=draft.taken(),
        hop_samples=piece.hop_samples,
        chunk_samples=tuple(lengths),
        ending_samples=0 if piece.ending is None else len(piece.ending),
    )


def _recorded(store: Store, cue: MusicCue, recording: Blob, music: MusicSpec) -> MusicPiece:
    """A user's recording as a piece of one chunk, at the loudness that pieces have."""
    key = fingerprint("recording", code_version(*_MADE_BY), recording, music.file_offset_s)
    known = store.recall(key, MusicPiece)
    if known is not None:
        return replace(known, cue=cue.index)
    with store.draft(".flac") as draft, open_flac(draft.path, 2) as file:
        num_samples = 0
        for block in fed(decode_audio(store.path(recording), music.file_offset_s)):
            file.write(block)
            num_samples += len(block)
    if num_samples == 0:
        raise MediaError(
            f"music for cue {cue.index + 1}",
            f"the recording ends before {music.file_offset_s:g} s",
            "Give a smaller --music-offset",
        )
    piece = MusicPiece(
        cue=cue.index,
        engine="recording",
        prompt=cue.prompt,
        audio=draft.taken(),
        hop_samples=num_samples,
        chunk_samples=(num_samples,),
    )
    return store.remember(key, piece)
