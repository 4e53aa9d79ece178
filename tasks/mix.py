"""The mix stage: every line and every piece of music into one mastered programme and its stems."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from models.music.fit import fit
from models.sound.ducking import Ducker, DuckShape
from models.sound.loudness import Loudness, LoudnessMeter
from models.sound.mixdown import (
    Desk,
    MasteredBlock,
    bed_gain,
    master,
    plan_master,
    speech_loudness,
    summed,
)
from models.sound.peaks import HopPeaks
from models.sound.streams import Bed, Layer, Line
from studio.audio import BLOCK, Samples, decibels, gain, open_flac, read_flac
from studio.errors import MusicError, OutputError, SpeechError
from studio.specs import MixSpec
from studio.store import Draft, Store
from studio.types import (
    SAMPLE_RATE,
    Mix,
    MusicPiece,
    MusicPlacement,
    MusicTrack,
    SpeechTrack,
    SpokenLine,
)
from tasks.intake import reading

CODEC_HEADROOM_DB = 1.0
"""How far below the deliverable's ceiling the master stays: AAC and MP3 add up to this to a peak
at 192 kb/s. What they add is measured after encoding.
"""

RETRY_LU = 0.15
"""A master further than this from its target is made again with the difference added."""

MASTERS = 5
"""How often at most. One is the rule; a programme of a few seconds whose peaks the limiter takes
gains about half of what is added each time: from 1 LU five come within 0.1.
"""

RETRY_LIMIT_LU = 3.0
"""A difference beyond this is no rounding of the plan: the programme is silent or all peaks."""


def mix_episode(
    speech: SpeechTrack,
    music: MusicTrack | None,
    placements: Sequence[MusicPlacement],
    spec: MixSpec,
    *,
    store: Store,
) -> Mix:
    """Mix and master an episode of `speech.num_samples` samples.

    Music lies `spec.bed_db` (plus its placement's `gain_db`) from the measured loudness of the
    speech, and `spec.duck_db` below that while somebody speaks. The mix and its two stems are
    24-bit FLAC of exactly the episode's length; the stems (speech in mono) add up to the mix. The
    true peak stays `CODEC_HEADROOM_DB` below `spec.true_peak_dbtp`.

    Raises `SpeechError` or `MusicError` when a recording is not as long as it says, or a placement
    has no piece.
    """
    with ExitStack() as stack:
        desk = set_desk(speech, music, placements, spec, store, stack)
        drafts = [stack.enter_context(store.draft(".flac")) for _ in range(3)]
        correction_db = 0.0
        for _ in range(MASTERS):
            loudness, peak = _master(desk, spec, drafts, correction_db=correction_db)
            missing = spec.loudness_lufs - loudness.integrated_lufs
            if not RETRY_LU < abs(missing) < RETRY_LIMIT_LU:
                break
            correction_db += missing
    mix, speech_stem, music_stem = (draft.taken() for draft in drafts)
    return Mix(
        audio=mix,
        speech_stem=speech_stem,
        music_stem=music_stem,
        sample_rate=SAMPLE_RATE,
        num_samples=speech.num_samples,
        num_channels=spec.num_channels,
        loudness_lufs=round(loudness.integrated_lufs, 2),
        true_peak_dbtp=round(decibels(peak), 2),
    )


def set_desk(
    speech: SpeechTrack,
    music: MusicTrack | None,
    placements: Sequence[MusicPlacement],
    spec: MixSpec,
    store: Store,
    stack: ExitStack,
) -> Desk:
    """Everything that sounds, with its levels: the mix before mastering.

    Decoded music lies in temporary files beside the store's drafts until `stack` closes: chunks of
    a piece are read many times and in any order, for which FLAC is slow.
    """
    lines = tuple(
        Line(start=start, num_samples=line.num_samples, read=partial(_read_line, store, line))
        for line, start in zip(speech.lines, speech.starts, strict=True)
    )
    wanted_lufs = spec.bed_db + (
        speech_loudness(lines, speech.num_samples, spec.num_channels)
        if lines
        else spec.loudness_lufs
    )
    shape = DuckShape(
        depth_db=spec.duck_db,
        attack=round(spec.duck_attack_s * SAMPLE_RATE),
        hold=round(spec.duck_hold_s * SAMPLE_RATE),
        release=round(spec.duck_release_s * SAMPLE_RATE),
    )
    return Desk(
        lines=lines,
        beds=tuple(_beds(music, placements, wanted_lufs, spec.num_channels, store, stack)),
        ducker=Ducker(spoken_spans(speech), shape),
        num_samples=speech.num_samples,
        num_channels=spec.num_channels,
    )


def spoken_spans(speech: SpeechTrack) -> list[tuple[int, int]]:
    """Where on the timeline somebody speaks: each line from its first word to its last."""
    spans = []
    for line, start in zip(speech.lines, speech.starts, strict=True):
        first = min((word.start for word in line.words), default=0)
        last = max((word.start + word.num_samples for word in line.words), default=0)
        spans.append((start + first, start + (last if last > first else line.num_samples)))
    return spans


def _read_line(store: Store, line: SpokenLine) -> Samples:
    with reading():
        samples = read_flac(store.path(line.audio))
    if samples.shape != (line.num_samples,):
        found = f"its recording holds {samples.shape} samples instead of {line.num_samples}"
        raise SpeechError(f"line {line.index + 1}", found, "Delete it with `studio gc` and retry")
    return samples


def _beds(
    music: MusicTrack | None,
    placements: Sequence[MusicPlacement],
    wanted_lufs: float,
    num_channels: int,
    store: Store,
    stack: ExitStack,
) -> Iterator[Bed]:
    pieces = {piece.cue: piece for piece in music.pieces} if music else {}
    beds: dict[tuple[int, int], list[MusicPlacement]] = {}
    for placed in placements:
        if placed.cue not in pieces:
            raise MusicError(f"cue {placed.cue + 1}", "no music was made for it", "Run it again")
        # Placements of one piece that begin at one place are steps of its level.
        beds.setdefault((placed.cue, placed.start - placed.offset), []).append(placed)
    decoded: dict[int, Path] = {}
    for (cue, start), steps in beds.items():
        if cue not in decoded:
            with reading():
                decoded[cue] = _decoded(pieces[cue], store, stack)
        length = max(placed.offset + placed.num_samples for placed in steps)
        open_piece = partial(_fitted, decoded[cue], pieces[cue], length)
        level = bed_gain(open_piece, num_channels, wanted_lufs)
        layers = tuple(
            Layer(
                start=placed.start,
                num_samples=placed.num_samples,
                gain=level * gain(placed.gain_db),
                fade_in=placed.fade_in,
                fade_out=placed.fade_out,
            )
            for placed in steps
        )
        yield Bed(start=start, layers=layers, open=open_piece)


def _decoded(piece: MusicPiece, store: Store, stack: ExitStack) -> Path:
    """A piece as raw stereo float32. Raises `MusicError` when it is not as long as it says."""
    declared, found = sum(piece.chunk_samples) + piece.ending_samples, 0
    try:
        handle, name = tempfile.mkstemp(dir=store.root / "drafts", suffix=".f32")
        stack.callback(os.unlink, name)
        with (
            os.fdopen(handle, "wb") as raw,
            soundfile.SoundFile(store.path(piece.audio)) as sound,
        ):
            while len(block := sound.read(BLOCK, dtype="float32", always_2d=True)):
                stereo = block if block.shape[1] == 2 else block.repeat(2, axis=1)
                raw.write(np.ascontiguousarray(stereo, np.float32).tobytes())
                found += len(block)
    except OSError as error:
        place = str(store.root)
        raise OutputError(place, error.strerror or "failed", "Free some room and retry") from error
    if found != declared:
        where = f"cue {piece.cue + 1} ({piece.prompt})"
        raise MusicError(where, f"{found} samples instead of {declared}", "Run it again")
    return Path(name)


def _fitted(raw: Path, piece: MusicPiece, num_samples: int) -> Iterator[Samples]:
    """The piece, made exactly `num_samples` long, from its beginning."""

    def read(start: int, count: int) -> Samples:
        values = np.fromfile(raw, np.float32, 2 * count, offset=8 * start)
        return values.reshape(-1, 2)

    return fit(read, piece, num_samples, block_samples=BLOCK)


def _master(
    desk: Desk, spec: MixSpec, drafts: Sequence[Draft], *, correction_db: float
) -> tuple[Loudness, float]:
    """Master the desk's mix into the drafts; return its loudness and its true peak (linear)."""
    plan = plan_master(
        lambda: summed(desk),
        spec.num_channels,
        loudness_lufs=spec.loudness_lufs,
        true_peak_dbtp=spec.true_peak_dbtp - CODEC_HEADROOM_DB,
        correction_db=correction_db,
    )
    try:
        return _write(master(desk, plan.curve), spec.num_channels, drafts)
    except soundfile.LibsndfileError as error:
        place = str(drafts[0].path.parent)
        raise OutputError(place, error.error_string, "Free some room and run again") from error


def _write(
    blocks: Iterator[MasteredBlock], num_channels: int, drafts: Sequence[Draft]
) -> tuple[Loudness, float]:
    """Write mix, speech and music; return the mix's loudness and its true peak (linear)."""
    meter, peaks = LoudnessMeter(num_channels), HopPeaks(num_channels)
    with ExitStack() as stack:
        mix, speech, music = (
            stack.enter_context(open_flac(draft.path, count))
            for draft, count in zip(drafts, (num_channels, 1, num_channels), strict=True)
        )
        for block in blocks:
            mix.write(block.mix)
            speech.write(block.speech)
            music.write(block.music)
            meter.push(block.mix)
            peaks.push(block.mix)
            peaks.floor = peaks.highest
    peaks.finish()
    return meter.finish(), peaks.highest
