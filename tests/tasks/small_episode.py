"""A small real episode: two speakers, six seconds, chapters, captions, an encoded picture."""

import atexit
import shutil
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from studio.audio import write_flac
from studio.captions import make_captions
from studio.encoders import open_sink
from studio.ffmpeg import Trial, try_encoder
from studio.script import parse_script
from studio.sinks import Job
from studio.specs import EncodeSpec, MixSpec, PackageSpec, PictureSpec
from studio.store import Store
from studio.timeline import chapters, frame_count
from studio.types import (
    SAMPLE_RATE,
    Blob,
    EncodedVideo,
    Mix,
    Script,
    SpeechTrack,
    SpokenLine,
    Word,
)
from tasks.mix import mix_episode
from tasks.package import Brief, Contents

TEXT = """# Tide: "pools" & 100% [salt] %{x} 🌊

## First
ALICE: We look at the sea today, and at all that lives in it.
## Second: الماء
BOB: It is a very small world.
ALICE: Thank you for listening.
"""

FPS = 25
WIDTH, HEIGHT = 320, 180


def voice(seed: int, seconds: float) -> NDArray[np.float32]:
    """A buzz in four bursts a second: no two seconds alike, the crest of speech."""
    at = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = 110 + 20 * seed + 15 * np.sin(2 * np.pi * (0.7 + 0.1 * seed) * at)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    wave = sum(np.cos(k * phase + k * k) / k for k in range(1, 25))
    return (wave * 0.08 * (0.2 + np.sin(np.pi * 4 * at) ** 2)).astype(np.float32)


def put(store: Store, samples: NDArray[np.float32]) -> Blob:
    with store.draft(".flac") as draft:
        write_flac(draft.path, samples)
    return draft.taken()


def spoken(store: Store, script: Script) -> SpeechTrack:
    lines, starts, at = [], [], SAMPLE_RATE // 2
    for segment in script.segments:
        samples = voice(segment.index, 1.6)
        written = segment.text.split()
        step = len(samples) // len(written)
        words = tuple(
            Word(text=word, start=i * step, num_samples=step) for i, word in enumerate(written)
        )
        lines.append(
            SpokenLine(
                index=segment.index,
                speaker=segment.speaker,
                text=segment.text,
                engine="tone",
                voice="tone",
                audio=put(store, samples),
                num_samples=len(samples),
                words=words,
                phonemes=(),
            )
        )
        starts.append(at)
        at += len(samples) + SAMPLE_RATE // 4
    return SpeechTrack(
        sample_rate=SAMPLE_RATE, num_samples=at, lines=tuple(lines), starts=tuple(starts)
    )


@cache
def trial() -> Trial:
    return try_encoder("pyav:libx264")


def draw(job: Job, path: Path, *, frozen: bool = False, black: bool = False) -> None:
    """Encode a bar that walks over a grey wall, or one that stands still, or nothing."""
    with open_sink(trial(), EncodeSpec(gop_s=1.0), job, path) as sink:
        for frame in range(job.num_frames):
            sink.planes[0][:] = 16 if black else 60
            x = 0 if frozen else frame * 2 % (job.width - 40)
            if not black:
                sink.planes[0][40:90, x : x + 40] = 200
            sink.send()


def seen(store: Store, mix: Mix, contents_title: str, marks: tuple[object, ...]) -> EncodedVideo:
    num_frames = frame_count(mix.num_samples, FPS)
    job = Job(
        width=WIDTH,
        height=HEIGHT,
        fps=FPS,
        num_frames=num_frames,
        sound=store.path(mix.audio),
        title=contents_title,
        chapters=marks,  # type: ignore[arg-type]
    )
    with store.draft(".mp4") as draft:
        draw(job, draft.path)
    return EncodedVideo(
        video=draft.taken(),
        encoder="pyav:libx264",
        width_px=WIDTH,
        height_px=HEIGHT,
        fps=FPS,
        num_frames=num_frames,
    )


def small_contents(store: Store, *, text: str = TEXT) -> Contents:
    """Everything that an episode with a picture is made of."""
    script = parse_script(text, "tide.txt")
    speech = spoken(store, script)
    mix = mix_episode(speech, None, [], MixSpec(), store=store)
    marks = chapters(script, speech)
    return Contents(
        script=script,
        speech=speech,
        music=None,
        placements=(),
        mix=mix,
        video=seen(store, mix, script.title, marks),
        clips=(),
        captions=make_captions(script, speech),
        chapters=marks,
        engines=(),
        fallbacks=(),
        seed=7,
    )


@cache
def shared_store() -> Store:
    """A store for all tests of this process; it goes with the process."""
    root = tempfile.mkdtemp(prefix="studio-episode-")
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return Store(Path(root))


@cache
def shared_contents() -> Contents:
    """The small episode, made once a process; it is made of values, so nobody can change it."""
    return small_contents(shared_store())


def heard_only(contents: Contents) -> Contents:
    return replace(contents, video=None)


def small_brief() -> Brief:
    return Brief(
        package=PackageSpec(show_name="Salt & Sand", author="A. Author"),
        mix=MixSpec(),
        picture=PictureSpec(fps=FPS),
        encode=EncodeSpec(gop_s=1.0),
    )
