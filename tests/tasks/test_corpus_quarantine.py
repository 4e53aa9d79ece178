"""Every kind of bad recording is put aside with its own reason, and no good one is lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from models.corpus import open_store
from studio.corpus import REASONS, CorpusReport, CorpusSpec, LimitSpec, MelSpec
from tasks.corpus_prepare import prepare_corpus
from tasks.corpus_store import read_quarantine
from tests.tasks.recordings import RATE, sound

SPEC = CorpusSpec(
    mel=MelSpec(n_mels=20, n_fft=512, win_length=512),
    limits=LimitSpec(max_s=3.0, max_tokens=60),
)
GOOD = ("good-1", "good-2", "good-3", "streamed")


def _write(path: Path, samples: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> None:
    soundfile.write(path, samples, RATE, subtype="PCM_16")


@pytest.fixture(scope="module")
def bad_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one of each fault among good clips."""
    folder = tmp_path_factory.mktemp("bad") / "lj"
    wavs = folder / "wavs"
    wavs.mkdir(parents=True)
    speech = sound(1, 1.0)
    for name in ("good-1", "good-2", "good-3", "empty-text", "emoji", "long-text", "fast-text"):
        _write(wavs / f"{name}.wav", speech)
    (wavs / "zero.wav").write_bytes(b"")
    _write(wavs / "no-samples.wav", speech[:0])
    whole = (wavs / "good-1.wav").read_bytes()
    (wavs / "cut.wav").write_bytes(whole[: len(whole) // 2])
    (wavs / "cut-header.wav").write_bytes(whole[:30])
    streamed = bytearray(whole)
    streamed[40:44] = b"\xff\xff\xff\xff"
    (wavs / "streamed.wav").write_bytes(streamed)
    (wavs / "words.wav").write_bytes(b"this is no sound at all" * 9)
    soundfile.write(wavs / "cut.flac", speech, RATE, format="FLAC")
    flac = (wavs / "cut.flac").read_bytes()
    (wavs / "cut.flac").unlink()
    (wavs / "cut-flac.flac").write_bytes(flac[: len(flac) * 2 // 3])
    soundfile.write(wavs / "stereo.wav", np.stack([speech, speech], axis=1), RATE)
    soundfile.write(wavs / "rate.wav", speech, 16_000)
    nan = speech.copy()
    nan[100] = np.nan
    soundfile.write(wavs / "nan.wav", nan, RATE, subtype="FLOAT")
    _write(wavs / "silent.wav", np.zeros_like(speech))
    _write(wavs / "short.wav", speech[:1000])
    _write(wavs / "long.wav", sound(2, 3.5))
    _write(wavs / "huge.wav", np.tile(sound(3, 2.0), 14))
    _write(wavs / "nobody.wav", speech)
    rows = [
        "good-1|One two.",
        "zero|Text.", "no-samples|Text.", "cut|Text.", "cut-header|Text.", "words|Text.",
        "streamed|Still good.",
        "cut-flac|Text.", "stereo|Text.", "rate|Text.", "nan|Text.", "silent|Text.",
        "good-2|Three four.",
        "short|A.", "long|Text.", "huge|Text.", "gone|Text.",
        "empty-text|  ...  ", "emoji|Text ツ.", "long-text|" + "word " * 20,
        "fast-text|" + "a " * 25,
        "good-1|Named twice.", "a|b|c|d|e", "../../etc/passwd|Text.", "",
        "good-3|Five six.",
    ]  # fmt: skip
    (folder / "metadata.csv").write_bytes("\n".join(rows).encode() + b"\nlatin|caf\xe9\n")
    return folder


@pytest.fixture(scope="module")
def report(bad_folder: Path) -> CorpusReport:
    return prepare_corpus([bad_folder], bad_folder.parent / "store", SPEC, workers=3)


WANTED = {
    "zero": "empty_file",
    "no-samples": "empty_file",
    "cut": "truncated",
    "cut-header": "truncated",
    "words": "undecodable",
    "stereo": "not_mono",
    "rate": "wrong_rate",
    "nan": "not_finite",
    "silent": "silent",
    "short": "too_short",
    "long": "too_long",
    "huge": "too_long",
    "gone": "missing",
    "empty-text": "empty_text",
    "emoji": "unknown_symbol",
    "long-text": "text_too_long",
    "fast-text": "text_too_fast",
    "good-1": "duplicate_id",
    "a": "bad_row",
    "../../etc/passwd": "bad_row",
    "metadata.csv:27": "bad_row",
    "nobody": "unlisted",
}


def test_every_fault_has_its_reason(report: CorpusReport) -> None:
    found = {one.id: one.reason for one in report.quarantined}
    cut_flac = found.pop("cut-flac")
    assert found == WANTED
    # libsndfile either refuses the last block or gives fewer samples than the header says.
    assert cut_flac in ("truncated", "undecodable")
    assert set(WANTED.values()) | {"no_phonemes"} == set(REASONS), "a reason without a test"
    assert all(one.found and one.source for one in report.quarantined)


def test_no_good_clip_is_lost_and_no_bad_one_used(report: CorpusReport, bad_folder: Path) -> None:
    corpus = open_store(report.folder)
    assert [corpus.info(clip).id for clip in range(len(corpus))] == [
        "good-1", "streamed", "good-2", "good-3",
    ]  # fmt: skip
    assert report.added == len(GOOD)
    written = [what for what, _ in read_quarantine(Path(report.folder))]
    assert tuple(written) == report.quarantined
    lines = [line for line in (bad_folder / "metadata.csv").read_bytes().split(b"\n") if line]
    unlisted = 1
    assert report.added + len(report.quarantined) == len(lines) + unlisted


def test_a_second_run_says_the_same(report: CorpusReport, bad_folder: Path) -> None:
    again = prepare_corpus([bad_folder], Path(report.folder), SPEC)
    assert again.quarantined == report.quarantined
    assert (again.kept, again.added) == (len(GOOD), 0)


def test_a_mended_recording_is_taken_in(bad_folder: Path, tmp_path: Path) -> None:
    prepare_corpus([bad_folder], tmp_path / "store", SPEC)
    broken = (bad_folder / "wavs" / "cut.wav").read_bytes()
    try:
        _write(bad_folder / "wavs" / "cut.wav", sound(8, 1.0))
        mended = prepare_corpus([bad_folder], tmp_path / "store", SPEC)
    finally:
        (bad_folder / "wavs" / "cut.wav").write_bytes(broken)
    assert mended.added == 1
    assert "cut" not in {one.id for one in mended.quarantined}
