"""A store is trained on, stopped, resumed and diagnosed, with real sound and a real model."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

pytest.importorskip("tensorflow")

import keras

from models.corpus import open_store
from models.training.configure import Configuration, configure
from models.voice import LineSpec
from models.voice.espeak_ng import utter
from studio.corpus import CorpusSpec, MelSpec
from studio.errors import SettingError, StoreError
from studio.training import Effort, TrainSpec
from tasks.corpus_export import export_records
from tasks.corpus_prepare import prepare_corpus
from tasks.run import Stopped
from tasks.training import training_spec
from tasks.training_checkpoint import load
from tasks.training_course import begin_course
from tasks.training_diagnosis import diagnose_course
from tasks.training_fit import fit
from tasks.training_trials import step_trials

pytestmark = pytest.mark.slow

TINY = {
    "model.width": 16,
    "model.encoder_blocks": 1,
    "model.decoder_blocks": 1,
    "batch.batch_size": 4,
    "batch.num_buckets": 2,
    "fit.num_steps": 8,
    "fit.validate_every": 4,
    "fit.checkpoint_every": 4,
    "fit.warmup_steps": 0,
    "fit.validation_pct": 20.0,
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen sentences of the embedded voice, prepared."""
    folder = tmp_path_factory.mktemp("recordings")
    (folder / "wavs").mkdir()
    lines = []
    for number in range(16):
        text = f"The baker sold {number + 2} loaves and some tea."
        said = utter(LineSpec(text=text, voice="alto"))
        soundfile.write(folder / "wavs" / f"b{number:02d}.wav", said.samples, said.sample_rate)
        lines.append(f"b{number:02d}|{text}|{text}")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    spec = CorpusSpec(mel=MelSpec(n_mels=24, n_fft=512, win_length=512))
    prepare_corpus([folder], folder / "store", spec)
    return folder / "store"


@pytest.fixture(scope="module")
def configured() -> Configuration:
    return configure({"xla.step": False, "reading.prefetch": 1}, {})


def _spec(**options: object) -> TrainSpec:
    return training_spec({**TINY, **{k.replace("__", "."): v for k, v in options.items()}})


def _silent(done: int, total: int) -> None:
    pass


def test_a_run_leaves_all_it_promises_and_goes_on_from_its_checkpoint(
    store: Path, configured: Configuration, tmp_path: Path
) -> None:
    corpus = open_store(store)
    result = fit(corpus, _spec(), configured, tmp_path, resume=True, report=_silent)
    assert (result.first_step, result.last_step, result.retraces) == (0, 8, 0)
    assert result.traces == len(result.shapes)
    assert result.num_training + result.num_validation == 16
    assert [point.step for point in result.points] == [4, 8]
    names = {path.name for path in tmp_path.iterdir()}
    assert {"checkpoint.npz", "losses.jsonl", "losses.png", "mel.png"} <= names
    samples, rate = soundfile.read(tmp_path / "sentence.flac")
    assert rate == corpus.spec.mel.sample_rate
    assert len(samples) == (result.sentences[0].num_frames - 1) * corpus.spec.mel.hop_length
    assert all(math.isfinite(one.sound_db) for one in result.sentences)
    assert all(one.vocoder_db < one.sound_db for one in result.sentences)
    assert len((tmp_path / "losses.jsonl").read_text().splitlines()) == 2

    longer = _spec(fit__num_steps=12)
    more = fit(corpus, longer, configured, tmp_path, resume=True, report=_silent)
    assert (more.first_step, more.last_step) == (8, 12)
    assert [point.step for point in more.points] == [4, 8, 12]
    again = fit(corpus, _spec(), configured, tmp_path, resume=False, report=_silent)
    assert again.first_step == 0
    assert again.points[-1].training == pytest.approx(result.points[-1].training, rel=1e-5)


def test_a_stopped_run_resumes_as_if_it_had_never_stopped(
    store: Path, configured: Configuration, tmp_path: Path
) -> None:
    corpus = open_store(store)
    spec = _spec(fit__checkpoint_every=100, fit__validate_every=8)
    whole = fit(corpus, spec, configured, tmp_path / "whole", resume=True, report=_silent)

    def stop_at_three(done: int, total: int) -> None:
        if done == 3:
            raise Stopped

    broken = tmp_path / "broken"
    with pytest.raises(Stopped):
        fit(corpus, spec, configured, broken, resume=True, report=stop_at_three)
    kept = load(broken, spec)
    assert kept is not None
    assert kept.step == 3
    assert len(kept.cursor.to_json()) < 1024
    resumed = fit(corpus, spec, configured, broken, resume=True, report=_silent)
    assert resumed.first_step == 3
    assert resumed.points[-1].validation == whole.points[-1].validation
    one, other = load(tmp_path / "whole", spec), load(broken, spec)
    assert one is not None
    assert other is not None
    for name, array in one.state.items():
        assert np.array_equal(array, other.state[name]), name


def test_every_backend_trains_to_the_same_bits(
    store: Path, configured: Configuration, tmp_path: Path
) -> None:
    corpus = open_store(store)
    export_records(corpus, tmp_path / "records")
    states = []
    for backend in ("resident", "mapped", "tfrecord"):
        reading = {"batch__backend": backend, "batch__records": str(tmp_path / "records")}
        spec = _spec(fit__num_steps=3, batch__num_buckets=1, **reading)
        result = fit(corpus, spec, configured, tmp_path / backend, resume=False, report=_silent)
        assert result.backend == backend
        made = load(tmp_path / backend, spec)
        assert made is not None
        states.append({name: array.tobytes() for name, array in made.state.items()})
    assert states[0] == states[1] == states[2]


def test_records_that_are_not_named_are_asked_for(
    store: Path, configured: Configuration, tmp_path: Path
) -> None:
    with pytest.raises(SettingError, match="needs an export"):
        fit(
            open_store(store),
            _spec(batch__backend="tfrecord"),
            configured,
            tmp_path,
            resume=False,
            report=_silent,
        )


def test_a_checkpoint_of_another_model_or_order_is_refused(
    store: Path, configured: Configuration, tmp_path: Path
) -> None:
    corpus = open_store(store)
    fit(corpus, _spec(fit__num_steps=1), configured, tmp_path, resume=True, report=_silent)
    with pytest.raises(StoreError, match="another model"):
        fit(corpus, _spec(model__width=24), configured, tmp_path, resume=True, report=_silent)
    with pytest.raises(SettingError, match="cursor"):
        fit(corpus, _spec(batch__seed=5), configured, tmp_path, resume=True, report=_silent)


def test_the_real_loop_is_diagnosed_with_its_counters(
    store: Path, configured: Configuration, tmp_path: Path
) -> None:
    found, counters = diagnose_course(
        open_store(store),
        _spec(),
        configured,
        tmp_path,
        effort=Effort(pairs=5, block_s=0.05, budget_s=20.0),
    )
    assert counters["retraces"] == 0
    assert counters["backend"] == "resident"
    assert found.measured.padding is not None
    assert 0.0 <= found.measured.padding < 0.6
    assert found.measured.transfer_bytes
    assert any("Map" in stage.name for stage in found.stages)
    assert found.reading.prefetch == 1, "the reading settings did not reach the reader"
    assert counters["shapes_of_the_store"] == 2
    assert 0 < counters["clips_measured"] <= counters["clips"] < 16
    assert not list(tmp_path.iterdir()), "a diagnosis keeps nothing of what it trained"
    told: dict[str, Any] = json.loads(json.dumps(counters))
    assert told == counters


def test_a_small_budget_measures_some_shapes_and_says_so(
    store: Path, configured: Configuration, tmp_path: Path
) -> None:
    effort = Effort(pairs=5, block_s=0.05, budget_s=0.5)
    found, counters = diagnose_course(
        open_store(store), _spec(), configured, tmp_path, effort=effort
    )
    assert (counters["shapes"], counters["shapes_of_the_store"]) == (1, 2)
    assert 0 < counters["clips_measured"] < counters["clips"]
    assert counters["retraces"] == 0
    assert 2 <= found.measured.verdict.num_pairs <= 5
    assert all("budget" in change.unmeasured for change in found.tried[:2])


def test_a_step_is_tried_in_other_ways(
    store: Path, configured: Configuration, tmp_path: Path
) -> None:
    spec = _spec(batch__num_buckets=1)
    course = begin_course(open_store(store), spec, configured, None)
    before = course.trainer.net.variables[0].numpy().dtype
    trials = step_trials(course, configured)
    assert [trial.setting for trial in trials] == [
        "xla.step",
        "batch.batch_size",
        "precision.policy",
    ]
    assert (trials[0].value, trials[1].value) == ("true", 8)
    pair = trials[1].open_pair()
    assert pair.clips == 2.0
    assert np.isfinite([pair.before(), pair.after()]).all()
    assert trials[1].predict() >= 1.0
    assert "card" in trials[2].reason
    reduced = replace(trials[2], reason="").open_pair()
    assert np.isfinite(reduced.after())
    assert course.trainer.net.variables[0].numpy().dtype == before
    assert keras.config.dtype_policy().compute_dtype == "float32"
