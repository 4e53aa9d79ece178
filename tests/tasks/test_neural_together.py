"""Episodes side by side: their cues and lines meet in the calls of one engine, and come out as they
do alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from models.music import CueSpec, Piece
from models.voice import LineSpec, Utterance
from studio.audio import read_flac
from studio.errors import MusicError
from studio.gathering import Call
from studio.gpu.meter import Meter
from studio.specs import DeviceSpec, MixSpec, MusicSpec, VoiceSpec
from studio.store import Store
from studio.types import MusicTrack, Rehearsal, SpeechTrack
from tasks.batch import calls_of
from tasks.machine import Machine
from tasks.music import score
from tasks.run import Desk, Run, Stopped
from tasks.script import Order, rehearse
from tasks.speech import speak
from tests.tasks.fake_card import GreedyComposer, machine_with

CPU = DeviceSpec(device="cpu", threads=1)
CUDA = DeviceSpec(device="cuda")
PATIENCE_S = 240.0
Made = TypeVar("Made")

SCRIPTS = {
    "one": "[MUSIC: epic drums]\nGood morning.\n[MUSIC: stop]\n[MUSIC: soft synth]\nAnd on.\n",
    "two": "[MUSIC: calm piano, 4 seconds]\nGood evening to you.\n",
    "three": "[MUSIC: calm piano, 4 seconds]\nGood morning.\n",
    "four": "[MUSIC: calm piano, 4 seconds]\nHello again.\nAnd good night.\n",
}
"""Three of them begin with the theme of their show: two at least meet in a call."""


class Door:
    """The way into an engine: its first call is held until every stage has asked."""

    def __init__(self) -> None:
        self._asked, self._left = threading.Semaphore(0), len(SCRIPTS)

    def desk(self) -> Desk:
        """A stage reports what it knew already, then asks for the rest."""
        told = threading.Event()

        def report(_stage: str, _done: int, _total: int) -> None:
            if not told.is_set():
                told.set()
                self._asked.release()

        return Desk(report=report)

    def hold(self) -> None:
        """Wait until all have asked; from then on the door is open."""
        while self._left:
            assert self._asked.acquire(timeout=PATIENCE_S)
            self._left -= 1
            if not self._left:
                # From its report to its request a stage has a few steps to go.
                time.sleep(0.5)


class Listener(GreedyComposer):
    """Writes a cue's words as a level of sound, and knows one cue that it cannot make."""

    door: Door

    def compose(self, cues: Sequence[CueSpec]) -> Iterator[Piece]:
        self.door.hold()
        for cue, piece in zip(cues, super().compose(cues), strict=True):
            if "bad" in cue.prompt:
                raise MusicError("music", f"nothing for {cue.prompt!r}", "Use other words")
            (sound,) = piece.chunks
            yield replace(piece, chunks=(sound * 0 + len(cue.prompt) / 100,))


class House:
    """Four episodes, each with a store of its own, and one machine with an imagined card."""

    def __init__(self, folder: Path, run: Run, scripts: dict[str, str], gib: float) -> None:
        self.folder, self.run, self.door = folder, run, Door()
        self.machine: Machine = machine_with(folder / "ledger", *([gib] if gib else []))
        self.calls: list[Call] = []
        self.opened: list[Listener] = []
        self.heard: dict[str, Rehearsal] = {}
        for name, text in scripts.items():
            path = folder / f"{name}.txt"
            path.write_text(text, encoding="utf-8")
            self.heard[name] = rehearse.fn(Order(script=str(path)), run=run)

    @contextmanager
    def open(self, _engine: str, spec: MusicSpec, device: DeviceSpec) -> Iterator[Listener]:
        """Stands where `open_composer` is. What no ledger knows of has left 10.5 GiB of a card."""
        engine = Listener(spec, device, 10.5)
        engine.door = self.door
        self.opened.append(engine)
        yield engine

    def runs(self, **more: Any) -> dict[str, Run]:
        """One for each episode of a batch."""
        return {
            name: replace(
                self.run,
                name=name,
                store=Store(self.folder / name),
                machine=self.machine,
                calls=self.calls,
                desk=self.door.desk(),
                **more,
            )
            for name in self.heard
        }

    def together(
        self, runs: dict[str, Run], stage: Callable[[Rehearsal, Run], Made]
    ) -> dict[str, Future[Made]]:
        """The stage of all episodes at the same time."""
        with self.machine.pool, ThreadPoolExecutor(len(runs)) as threads:
            return {
                name: threads.submit(stage, self.heard[name], told) for name, told in runs.items()
            }


def _scored(spec: MusicSpec) -> Callable[[Rehearsal, Run], MusicTrack]:
    return lambda heard, run: score.fn(heard, VoiceSpec(), spec, MixSpec(), 7, run=run)


def _levels(track: MusicTrack, run: Run) -> list[float]:
    sounds = [read_flac(run.store.path(piece.audio)) for piece in track.pieces]
    return [round(float(sound[0, 0]), 2) for sound in sounds]


def _wanted(heard: Rehearsal) -> list[float]:
    return [len(cue.prompt) / 100 for cue in heard.script.cues if cue.action == "play"]


def test_cues_of_several_episodes_share_calls_and_each_gets_its_own(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path, run, SCRIPTS, 24.0)
    monkeypatch.setattr("tasks.music.open_composer", house.open)
    runs = house.runs(device=CUDA)
    futures = house.together(runs, _scored(MusicSpec(engine=("musicgen_hf",))))
    for name, future in futures.items():
        assert _levels(future.result(), runs[name]) == _wanted(house.heard[name])
    assert len(house.opened) == 1
    (row,) = calls_of(house.calls)
    assert row.engine == "musicgen_hf"
    assert row.requests == 5
    # The first one's call went on while the other three asked.
    assert row.calls == 2
    assert row.shared_calls == 1
    assert row.repeated >= 1
    assert house.machine.holdings() == ()


def test_a_cue_that_cannot_be_made_fails_its_episode_alone(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path, run, SCRIPTS | {"two": "[MUSIC: bad noise]\nHello.\n"}, 24.0)
    monkeypatch.setattr("tasks.music.open_composer", house.open)
    runs = house.runs(device=CUDA)
    futures = house.together(runs, _scored(MusicSpec(engine=("musicgen_hf",))))
    with pytest.raises(MusicError, match="bad noise"):
        futures.pop("two").result()
    for name, future in futures.items():
        assert _levels(future.result(), runs[name]) == _wanted(house.heard[name])
    assert len(house.opened) == 1


def test_what_runs_out_of_memory_steps_down_for_all_of_them(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path, run, SCRIPTS, 141.0)
    monkeypatch.setattr("tasks.music.open_composer", house.open)
    runs = house.runs(device=CUDA)
    spec = MusicSpec(engine=("musicgen_hf",), model="medium")
    futures = house.together(runs, _scored(spec))
    for name, future in futures.items():
        track = future.result()
        assert _levels(track, runs[name]) == _wanted(house.heard[name])
        steps = [step.used.removeprefix("cuda, fp32, ") for step in track.fallbacks]
        assert steps == ["batch 4", "batch 2", "batch 1"]
        assert all("out of memory" in step.why for step in track.fallbacks)
    assert [engine.spec.batch for engine in house.opened] == [8, 4, 2, 1]
    assert house.machine.holdings() == ()


def test_a_batch_that_is_stopped_lets_go_of_all_who_wait(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path, run, SCRIPTS, 24.0)
    stop, entered = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        assert stop.wait(PATIENCE_S)
        time.sleep(1.0)

    monkeypatch.setattr(house.door, "hold", hold)
    monkeypatch.setattr("tasks.music.open_composer", house.open)
    runs = {name: replace(told, desk=Desk(stop=stop)) for name, told in house.runs().items()}

    def end() -> None:
        assert entered.wait(PATIENCE_S)
        time.sleep(0.3)
        stop.set()

    ender = threading.Thread(target=end)
    ender.start()
    spec = MusicSpec(engine=("musicgen_hf",))
    futures = house.together(runs, _scored(spec))
    ender.join()
    assert all(isinstance(future.exception(), Stopped) for future in futures.values())
    assert house.machine.holdings() == ()


@pytest.mark.slow
def test_musicgen_makes_the_same_pieces_in_company_and_alone(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from models.music.musicgen_hf import MusicGen
    from models.music.musicgen_weights import require_packages
    from tests.models.music.tiny_musicgen import save_tiny_musicgen

    house = House(tmp_path, run, SCRIPTS, 0.0)
    generate, generated = MusicGen._generate, []

    def seen(self: MusicGen, cues: Sequence[CueSpec], take: int) -> list[Any]:
        house.door.hold()
        generated.append(len(cues))
        return generate(self, cues, take)

    require_packages()
    weights = str(save_tiny_musicgen(tmp_path / "musicgen"))
    spec = MusicSpec(engine=("musicgen_hf",), weights_dir=weights, max_generated_s=1.0)
    alone = {
        name: _scored(spec)(
            heard, replace(run, device=CPU, store=Store(tmp_path / f"{name} alone"))
        )
        for name, heard in house.heard.items()
    }
    monkeypatch.setattr(MusicGen, "_generate", seen)
    with Meter() as meter:
        runs = house.runs(device=CPU, meter=meter)
        futures = house.together(runs, _scored(spec))
        uses = meter.uses()
    assert {name: future.result() for name, future in futures.items()} == alone
    assert len(generated) < len(SCRIPTS)
    # The theme is made once for all who ask for it in one call.
    assert sum(generated) < 5
    assert {use.run for use in uses if use.stage == "music"} == set(SCRIPTS)
    assert sum(house.machine.pool.loads.values()) == 1


@pytest.mark.slow
def test_a_voice_speaks_the_same_lines_in_company_and_alone(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("TTS")
    from models.voice import take
    from models.voice.coqui_tts import CoquiVoice
    from tests.models.voice.tiny_coqui import make_vits

    # Random weights speak no words: the bars that good takes pass are put out of the way.
    monkeypatch.setattr(take, "listen", lambda *_: take.Heard(fault=""))
    house = House(tmp_path, run, SCRIPTS, 0.0)
    weights = str(make_vits(tmp_path / "vits"))
    say = CoquiVoice.say

    def seen(self: CoquiVoice, lines: Sequence[LineSpec]) -> Iterator[Utterance]:
        house.door.hold()
        return say(self, lines)

    def stage(heard: Rehearsal, told: Run) -> SpeechTrack:
        # Another tempo is no other engine.
        spec = VoiceSpec(
            engine=("coqui_tts",), weights_dir=weights, rate_wpm=150 + len(heard.script.segments)
        )
        return speak.fn(heard, spec, MixSpec(), 7, run=told)

    alone = {
        name: stage(heard, replace(run, device=CPU, store=Store(tmp_path / f"{name} alone")))
        for name, heard in house.heard.items()
    }
    monkeypatch.setattr(CoquiVoice, "say", seen)
    futures = house.together(house.runs(device=CPU), stage)
    for name, future in futures.items():
        for line, same in zip(future.result().lines, alone[name].lines, strict=True):
            assert (line.text, line.words, line.takes) == (same.text, same.words, same.takes)
            # Larger matrix products round otherwise: far below what can be heard.
            said = read_flac(Store(tmp_path / name).path(line.audio))
            wanted = read_flac(Store(tmp_path / f"{name} alone").path(same.audio))
            assert np.abs(said - wanted).max() < 1e-3 * np.abs(wanted).max()
    assert sum(house.machine.pool.loads.values()) == 1
    (row,) = calls_of(house.calls)
    assert row.requests == sum(len(heard.script.segments) for heard in house.heard.values())
    assert row.calls < len(SCRIPTS)
    assert row.shared_calls >= 1
