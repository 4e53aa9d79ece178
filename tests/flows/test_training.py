"""`studio train` as a user runs it: the command, the flow, its artifacts, its report."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

pytest.importorskip("tensorflow")

from models.voice import LineSpec
from models.voice.espeak_ng import utter
from studio.corpus import CorpusSpec, MelSpec
from tasks.corpus_prepare import prepare_corpus

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]

TINY = {
    "model.width": 16,
    "model.encoder_blocks": 1,
    "model.decoder_blocks": 1,
    "batch.batch_size": 4,
    "batch.num_buckets": 1,
    "fit.num_steps": 6,
    "fit.validate_every": 3,
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spoken")
    (folder / "wavs").mkdir()
    lines = []
    for number in range(10):
        text = f"Old Tom counted {number + 3} horses."
        said = utter(LineSpec(text=text, voice="alto"))
        soundfile.write(folder / "wavs" / f"t{number}.wav", said.samples, said.sample_rate)
        lines.append(f"t{number}|{text}|{text}")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    spec = CorpusSpec(mel=MelSpec(n_mels=24, n_fft=512, win_length=512))
    prepare_corpus([folder], folder / "store", spec)
    return folder / "store"


def test_the_flow_publishes_pictures_settings_and_stages(
    store: Path, tmp_path: Path, prefect_server: None
) -> None:
    from prefect.client.orchestration import get_client

    from flows.training import train_model

    result = asyncio.run(
        train_model(
            store=str(store),
            out_dir=str(tmp_path),
            options=TINY,
            settings={"xla.step": "false", "enable_xla": "true"},
        )
    )
    assert result.last_step == 6
    told = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert told["training"]["last_step"] == 6
    states = {row["name"]: row["state"] for row in told["settings"]}
    assert states == {"xla.step": "effective", "enable_xla": "gone"}
    assert {"configure", "train"} <= {use["stage"] for use in told["stages"]}

    async def published() -> set[str]:
        async with get_client() as client:
            return {artifact.key or "" for artifact in await client.read_artifacts(limit=200)}

    keys = asyncio.run(published())
    assert {"stages", "training", "training-settings", "training-losses", "training-mel"} <= keys


def test_the_command_diagnoses_and_answers_with_its_exit_code(store: Path, tmp_path: Path) -> None:
    options = [part for key, value in TINY.items() for part in ("--set", f"{key}={value}")]
    run = subprocess.run(
        [
            sys.executable,
            *("-m", "flows.cli", "train", str(store), "--out-dir", str(tmp_path), "--diagnose"),
            *("--pairs", "5", "--block-s", "0.05", "--tf", "xla.step=false", "--no-progress"),
            *options,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    told = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["diagnosis"]
    assert run.returncode == told["exit_code"] in (0, 10, 11), run.stderr[-2000:]
    assert told["measured"]["verdict"]["num_pairs"] >= 5
    assert "verdict" in run.stdout
