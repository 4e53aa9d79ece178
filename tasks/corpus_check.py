"""Is a store what it says? Every byte read, every promise held against the bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from models.corpus.mapped import Corpus
from models.corpus.plan import BLANK, plan
from studio.corpus import REASONS, BatchSpec, layout
from studio.types import Check
from tasks.corpus_store import read_quarantine

_EVERY = 256
"""Clips between two reports of progress."""
_SHOWN = 5
"""Clips that a failed check names."""


def check_store(
    corpus: Corpus,
    spec: BatchSpec,
    *,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Check, ...]:
    """Hold a store against its promises; nothing is repaired.

    Checksums of every clip, values within the definition of the mel, frames as the sound's length
    says, tokens within the vocabulary, lengths of phonemes that add up, one readable line a clip
    with an id of its own, a known reason for every clip put aside, and a plan that holds every clip
    once.
    """
    return (
        *_check_clips(corpus, report),
        _check_lengths(corpus),
        _check_lines(corpus),
        _check_quarantine(corpus.folder),
        _check_plan(corpus, spec),
    )


def _check_clips(corpus: Corpus, report: Callable[[int, int], None]) -> tuple[Check, ...]:
    wrong_sum: list[int] = []
    wrong_mel: list[int] = []
    wrong_text: list[int] = []
    floor = np.float32(np.log(corpus.spec.mel.floor)) - np.float32(0.01)  # half's step there
    for clip, row in enumerate(corpus.rows):
        if clip % _EVERY == 0:
            report(clip, len(corpus))
        if corpus.checksum(clip) != int(row["crc32"]):
            wrong_sum.append(clip)
        mel = corpus.clip_mel(clip)
        if not np.isfinite(mel).all() or mel.min(initial=0.0) < floor:
            wrong_mel.append(clip)
        tokens = corpus.clip_tokens(clip)
        if not len(tokens) or tokens.min() < 1 or tokens.max() > len(corpus.vocabulary):
            wrong_text.append(clip)
    report(len(corpus), len(corpus))
    return (
        _check("checksums", corpus, wrong_sum, "every clip's CRC-32"),
        _check("mel values", corpus, wrong_mel, "finite, not below the floor"),
        _check("tokens", corpus, wrong_text, f"1 to {len(corpus.vocabulary)}"),
    )


def _check_lengths(corpus: Corpus) -> Check:
    rows, mel = corpus.rows, corpus.spec.mel
    right = rows["num_frames"] == rows["num_samples"] // mel.hop_length + 1
    wrong = np.flatnonzero(~right).tolist()
    if corpus.durations is not None:
        for clip in range(len(corpus)):
            if int(corpus.clip_durations(clip).sum()) != int(rows["num_frames"][clip]):
                wrong.append(clip)
    return _check("lengths", corpus, wrong, "frames as samples and phonemes say")


def _check_lines(corpus: Corpus) -> Check:
    wrong: list[int] = []
    seen: set[str] = set()
    for clip in range(len(corpus)):
        try:
            info = corpus.info(clip)
        except (ValueError, KeyError, TypeError):
            wrong.append(clip)
            continue
        if info.id in seen or not info.normalised:
            wrong.append(clip)
        seen.add(info.id)
    return _check("texts", corpus, wrong, "a readable line and an id of its own")


def _check_quarantine(folder: Path) -> Check:
    required = f"a known reason on every line of {layout.QUARANTINE}"
    try:
        asides = read_quarantine(folder)
    except (ValueError, KeyError, TypeError, json.JSONDecodeError) as error:
        return Check(name="quarantine", measured=str(error), required=required, passed=False)
    strange = [what.id for what, _ in asides if what.reason not in REASONS]
    measured = f"{len(asides)} put aside" + (f", unknown: {strange[:_SHOWN]}" if strange else "")
    return Check(name="quarantine", measured=measured, required=required, passed=not strange)


def _check_plan(corpus: Corpus, spec: BatchSpec) -> Check:
    made = plan(corpus.num_frames, corpus.num_tokens, spec)
    rows = made.rows[made.rows != BLANK]
    once = bool(np.array_equal(np.sort(np.append(rows, made.dropped)), np.arange(len(corpus))))
    caps = np.array([(shape.frames, shape.tokens) for shape in made.shapes]).reshape(-1, 2)
    room = np.broadcast_to(caps[made.bucket][:, None, None, :], (*made.rows.shape, 2))
    held = room[made.rows != BLANK]
    fits = bool(
        (corpus.num_frames[rows] <= held[:, 0]).all()
        and (corpus.num_tokens[rows] <= held[:, 1]).all()
    )
    measured = f"{len(made)} steps, {len(made.shapes)} shapes, {made.padding:.1%} padding"
    required = "every clip once, in a shape that holds it whole"
    return Check(name="plan", measured=measured, required=required, passed=once and fits)


def _check(name: str, corpus: Corpus, wrong: list[int], required: str) -> Check:
    measured = f"{len(corpus) - len(set(wrong))} of {len(corpus)} clips"
    if wrong:
        measured += ", not rows " + ", ".join(str(clip) for clip in wrong[:_SHOWN])
    return Check(name=name, measured=measured, required=required, passed=not wrong)
