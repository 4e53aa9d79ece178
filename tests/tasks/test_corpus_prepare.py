"""Recordings become a store: whole, the same each time, and only once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from models.corpus import log_mel, open_store
from studio.audio import write_flac
from studio.corpus import CorpusSpec, MelSpec, TokenSpec, layout
from studio.errors import MediaError, OutputError, StoreError
from tasks.corpus_prepare import prepare_corpus
from tasks.corpus_store import sole_writer
from tasks.run import Stopped
from tests.tasks.recordings import RATE, bytes_of, sound, write_list, write_recordings

ROOT = Path(__file__).parents[2]
SMALL = CorpusSpec(mel=MelSpec(n_mels=20, n_fft=512, win_length=512))


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recordings(tmp_path_factory.mktemp("corpus") / "lj", 24)


@pytest.fixture(scope="module")
def prepared(recordings: Path) -> Path:
    folder = recordings.parent / "store"
    prepare_corpus([recordings], folder, SMALL, workers=1)
    return folder


def test_a_store_holds_the_mel_and_the_text_of_every_recording(
    recordings: Path, prepared: Path
) -> None:
    corpus = open_store(prepared)
    assert len(corpus) == 24
    for clip in (0, 7, 23):
        info = corpus.info(clip)
        samples, _ = soundfile.read(recordings / "wavs" / f"{info.id}.wav", dtype="float32")
        wanted = log_mel(np.asarray(samples, np.float32), SMALL.mel)
        assert corpus.clip_mel(clip).shape == wanted.shape
        assert np.abs(corpus.clip_mel(clip) - wanted).max() < 4e-3  # half precision at -11.5
        text = "".join(corpus.vocabulary[token - 1] for token in corpus.clip_tokens(clip))
        assert text == info.normalised
        assert corpus.checksum(clip) == corpus.rows["crc32"][clip]


@pytest.mark.parametrize("workers", [2, 5])
def test_the_bytes_do_not_depend_on_the_number_of_workers(
    recordings: Path, prepared: Path, tmp_path: Path, workers: int
) -> None:
    prepare_corpus([recordings], tmp_path / "store", SMALL, workers=workers)
    assert bytes_of(tmp_path / "store") == bytes_of(prepared)


def test_an_unchanged_source_is_not_read_again(tmp_path: Path) -> None:
    source, store = write_recordings(tmp_path / "lj", 4), tmp_path / "store"
    prepare_corpus([source], store, SMALL)
    before = bytes_of(store)
    stamps = [(store / name).stat().st_mtime_ns for name in before]
    # Other bytes under the same size and time: reading them would show.
    path = source / "wavs" / "clip-002.wav"
    seen = path.stat()
    path.write_bytes(bytes(seen.st_size))
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    report = prepare_corpus([source], store, SMALL)
    assert (report.kept, report.added, report.dropped) == (4, 0, 0)
    assert bytes_of(store) == before
    assert [(store / name).stat().st_mtime_ns for name in before] == stamps


def test_a_touched_recording_is_read_and_not_worked_out_again(tmp_path: Path) -> None:
    source = write_recordings(tmp_path / "lj", 3)
    prepare_corpus([source], tmp_path / "store", SMALL)
    before = bytes_of(tmp_path / "store")
    (source / "wavs" / "clip-001.wav").touch()
    report = prepare_corpus([source], tmp_path / "store", SMALL)
    assert (report.kept, report.added) == (3, 0)
    assert bytes_of(tmp_path / "store") == before


def test_what_changed_is_appended_and_open_readers_see_no_change(tmp_path: Path) -> None:
    source, store = write_recordings(tmp_path / "lj", 6), tmp_path / "store"
    prepare_corpus([source], store, SMALL)
    reader = open_store(store)
    seen = [reader.clip_mel(clip) for clip in range(6)]
    soundfile.write(source / "wavs" / "clip-002.wav", sound(90, 1.0), RATE, subtype="PCM_16")
    (source / "wavs" / "clip-004.wav").unlink()
    report = prepare_corpus([source], store, SMALL)
    assert (report.kept, report.added, report.dropped) == (4, 1, 2)
    assert [one.reason for one in report.quarantined] == ["missing"]
    assert report.dead_bytes > 0
    for clip in range(6):
        assert np.array_equal(reader.clip_mel(clip), seen[clip])
    corpus = open_store(store)
    assert [corpus.info(clip).id for clip in range(5)] == [
        "clip-000", "clip-001", "clip-003", "clip-005", "clip-002",
    ]  # fmt: skip
    assert corpus.sha256 == report.store_sha256 != reader.sha256
    assert all(corpus.checksum(clip) == corpus.rows["crc32"][clip] for clip in range(5))


_KILLED = """
import sys
from pathlib import Path
import tasks.corpus_prepare as prepare
from studio.corpus import CorpusSpec, MelSpec
prepare.COMMIT_EVERY_S = 0.0
def report(done, total):
    if done == 9:
        print("nine", flush=True)
        sys.stdin.readline()
spec = CorpusSpec(mel=MelSpec(n_mels=20, n_fft=512, win_length=512))
prepare.prepare_corpus([Path(sys.argv[1])], Path(sys.argv[2]), spec, workers=2, report=report)
"""


def test_a_killed_run_is_taken_up_and_ends_with_the_same_bytes(
    recordings: Path, prepared: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    process = subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(recordings), str(store)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"nine\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(open_store(store)) == 8, "what was committed is there, and no more"
    with (store / "mel.f16").open("ab") as torn:
        torn.write(b"half a clip that was never committed")
    report = prepare_corpus([recordings], store, SMALL, workers=2)
    assert (report.kept, report.added) == (8, 16)
    assert bytes_of(store) == bytes_of(prepared)


def test_a_stopped_run_keeps_what_it_finished(recordings: Path, tmp_path: Path) -> None:
    def stop(done: int, _total: int) -> None:
        if done == 5:
            raise Stopped

    with pytest.raises(Stopped):
        prepare_corpus([recordings], tmp_path / "store", SMALL, report=stop)
    assert len(open_store(tmp_path / "store")) == 5


def test_a_store_never_changes_its_definition(recordings: Path, prepared: Path) -> None:
    other = SMALL.model_copy(update={"mel": MelSpec(n_mels=21)})
    with pytest.raises(StoreError, match="another spec"):
        prepare_corpus([recordings], prepared, other)


def test_a_store_has_one_writer(recordings: Path, prepared: Path) -> None:
    with sole_writer(prepared), pytest.raises(StoreError, match="being written"):
        prepare_corpus([recordings], prepared, SMALL)


def test_a_place_that_cannot_be_written_is_said(recordings: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="store"):
        prepare_corpus([recordings], tmp_path / "file" / "store", SMALL)


@pytest.mark.parametrize("damage", ["mel.f16", "index.npz", "spec.json"])
def test_a_damaged_store_is_refused(prepared: Path, tmp_path: Path, damage: str) -> None:
    shutil.copytree(prepared, tmp_path / "store")
    whole = (tmp_path / "store" / damage).read_bytes()
    (tmp_path / "store" / damage).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError):
        open_store(tmp_path / "store")


def test_an_episode_package_gives_its_lines(tmp_path: Path) -> None:
    package = tmp_path / "talk"
    (package / "stems").mkdir(parents=True)
    rate, places = 48_000, [(0.5, 1.25), (1.5, 2.5)]
    stem = np.zeros(3 * rate, np.float32)
    for start, end in places:
        stem[round(start * rate) : round(end * rate)] = 0.2 * np.sin(
            2 * np.pi * 440 * np.arange(round((end - start) * rate)) / rate
        )
    write_flac(package / "stems" / "speech.flac", np.stack([stem, stem], axis=1))
    segments = [
        {"speaker": name, "startTime": start, "endTime": end, "body": body}
        for (start, end), name, body in zip(
            places, ("ALICE", "BOB"), ("Dr. Who paid $3.", "Fine!"), strict=True
        )
    ]
    told = {"version": "1.0.0", "segments": segments}
    (package / "transcript.json").write_text(json.dumps(told))
    prepare_corpus([tmp_path], tmp_path / "store", CorpusSpec())
    corpus = open_store(tmp_path / "store")
    assert corpus.rows["num_samples"].tolist() == [round(0.75 * RATE), RATE]
    assert [corpus.info(n).speaker for n in (0, 1)] == ["ALICE", "BOB"]
    assert corpus.speakers == ("ALICE", "BOB")
    assert corpus.info(0).normalised == "doctor who paid three dollars."
    # The tone is in the band around 440 Hz, and at the level it was made with.
    assert corpus.clip_mel(0)[20:-20].mean(axis=0).argmax() in range(10, 14)
    assert np.abs(corpus.rows["level_db"] - 20 * np.log10(0.2 / np.sqrt(2))).max() < 0.1


def test_a_package_without_its_speech_stem_is_refused(tmp_path: Path) -> None:
    (tmp_path / "transcript.json").write_text('{"version": "1.0.0", "segments": []}')
    with pytest.raises(MediaError, match="has no stems/speech"):
        prepare_corpus([tmp_path], tmp_path / "store", SMALL)


def test_a_manifest_gives_phonemes_with_their_lengths(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "one.wav", sound(1, 1.0), RATE, subtype="PCM_16")
    phonemes = [["", 0.0, 0.1], ["h", 0.1, 0.2], ["aɪ", 0.3, 0.5], ["", 0.8, 0.2]]
    lines = [
        {"audio_filepath": "one.wav", "text": "Hi", "speaker": "eve", "phonemes": phonemes},
        {"audio_filepath": "one.wav", "text": "Hi", "id": "untimed"},
        {"audio_filepath": "one.wav", "text": "Hi", "id": "half", "offset": 0.25, "duration": 0.5,
         "phonemes": [["h", 0.0, 0.25], ["aɪ", 0.25, 0.25]]},
    ]  # fmt: skip
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("\n".join(json.dumps(line) for line in lines))
    spec = CorpusSpec(tokens=TokenSpec(kind="phonemes"))
    report = prepare_corpus([manifest], tmp_path / "store", spec)
    assert [(one.id, one.reason) for one in report.quarantined] == [("untimed", "no_phonemes")]
    corpus = open_store(tmp_path / "store")
    assert corpus.vocabulary == ("", "h", "aɪ")
    assert corpus.clip_tokens(0).tolist() == [1, 2, 3, 1]
    lengths = corpus.clip_durations(0)
    assert lengths.sum() == corpus.num_frames[0] == RATE // 256 + 1
    assert np.abs(lengths * 256 / RATE - [0.1, 0.2, 0.5, 0.2]).max() < 256 / RATE
    assert corpus.clip_durations(1).sum() == corpus.num_frames[1]
    assert corpus.rows["num_samples"][1] == round(0.5 * RATE)


def test_adding_recordings_keeps_the_old_bytes_in_place(tmp_path: Path) -> None:
    source, store = write_recordings(tmp_path / "lj", 8), tmp_path / "store"
    rows = (source / "metadata.csv").read_text().splitlines()
    write_list(source, [(row.split("|")[0], row.split("|")[1]) for row in rows[:5]])
    first = prepare_corpus([source], store, SMALL)
    assert [one.reason for one in first.quarantined] == ["unlisted"] * 3
    begin = (store / "mel.f16").read_bytes()
    write_list(source, [(row.split("|")[0], row.split("|")[1]) for row in rows])
    second = prepare_corpus([source], store, SMALL)
    assert (second.kept, second.added, second.quarantined) == (5, 3, ())
    assert (store / "mel.f16").read_bytes().startswith(begin)


def test_an_unchanged_run_costs_little(recordings: Path, tmp_path: Path) -> None:
    def cost() -> float:
        begin = time.process_time()
        prepare_corpus([recordings], tmp_path / "store", CorpusSpec(), workers=1)
        return time.process_time() - begin

    first, again = cost(), min(cost(), cost())
    # 2 % on a real corpus (benchmarks/corpus.py); 24 short clips leave the fixed part in sight.
    assert again < 0.3 * first


def test_layout_names_every_file_of_a_store(prepared: Path) -> None:
    documented = layout.__doc__ or ""
    for path in prepared.iterdir():
        assert path.name in documented or path.name == "prepare.lock", path.name
