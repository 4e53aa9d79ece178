"""What the picture costs: drawing and encoding against the bare encoder, presets, length, memory.

    python benchmarks/encode.py [--seconds 60] [--hosts 1] [--presets] [--minutes 1 10]

The episode is real: the embedded voice speaks, the drawn host moves its lips, the waveform and the
captions follow. CPU time is the process's, all threads together; machines that are busy otherwise
stretch it, so ratios are what to compare.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from models.avatar import LineSound, open_performer
from models.avatar.viseme.hosts import HOSTS
from models.picture.layout import lay_out
from models.picture.planes import Planes
from models.voice import LineSpec, open_voice
from models.voice.polish import polish
from studio.audio import write_flac
from studio.encoders import open_sink
from studio.ffmpeg import choose_encoder
from studio.sinks import Job
from studio.specs import DeviceSpec, EncodeSpec, PictureSpec, VoiceSpec
from studio.store import Store
from studio.timeline import frame_count
from studio.types import (
    SAMPLE_RATE,
    AvatarClip,
    AvatarPart,
    Caption,
    Chapter,
    Mix,
    SpeechTrack,
    SpokenLine,
    Word,
)
from tasks.avatar import open_presenter
from tasks.encode import Show, encode_episode, open_scene

LINES = (
    "Good evening, and welcome to the night shift.",
    "Tonight we ask why the sea is never quite silent.",
    "It sings, in a way: low, slow, and very far away.",
    "Blue whales call at eighteen hertz, below what we can hear.",
    "And somebody, somewhere, is always listening in.",
    "What would you give to hear the first song ever sung?",
)

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium")


def make_show(store: Store, seconds: float, hosts: int, fps: int) -> Show:
    """A show of that length, its lines spoken in turn by `hosts` speakers (at least one)."""
    speakers = ("MAYA", "THEO", "IRIS", "OTTO")[: max(1, hosts)]
    spoken, motions = _speak(store, speakers, fps)
    num_samples = round(seconds * SAMPLE_RATE)
    lines: list[SpokenLine] = []
    starts: list[int] = []
    captions: list[Caption] = []
    parts: dict[str, list[AvatarPart]] = {speaker: [] for speaker in speakers}
    at = SAMPLE_RATE // 2
    while at + spoken[len(lines) % len(spoken)].num_samples < num_samples:
        line = spoken[len(lines) % len(spoken)]
        motion = motions[len(lines) % len(spoken)]
        start_frame = at * fps // SAMPLE_RATE
        parts[line.speaker].append(
            AvatarPart(
                line=len(lines),
                start_frame=start_frame,
                num_frames=motion.num_frames,
                data=motion.data,
            )
        )
        captions.append(_caption(line, at))
        lines.append(line)
        starts.append(at)
        at += line.num_samples + SAMPLE_RATE // 3
    speech = SpeechTrack(
        sample_rate=SAMPLE_RATE, num_samples=num_samples, lines=tuple(lines), starts=tuple(starts)
    )
    clips = tuple(
        AvatarClip(
            speaker=speaker,
            engine="viseme",
            look=look,
            portrait=None,
            kind="motion",
            fps=fps,
            num_frames=num_samples * fps // SAMPLE_RATE,
            width_px=640,
            height_px=640,
            alpha=True,
            seed=seat,
            parts=tuple(parts[speaker]),
        )
        for seat, (speaker, look) in enumerate(zip(speakers[:hosts], HOSTS, strict=False))
    )
    half = num_samples // 2
    return Show(
        title="Why the Sea Sings",
        speech=speech,
        mix=_mix(store, speech),
        clips=clips,
        captions=tuple(captions),
        chapters=(
            Chapter(title="A cold open", start=0, num_samples=half),
            Chapter(title="What the hydrophones heard", start=half, num_samples=num_samples - half),
        ),
        seed=7,
    )


def _speak(
    store: Store, speakers: tuple[str, ...], fps: int
) -> tuple[list[SpokenLine], list[AvatarPart]]:
    """The lines, spoken and animated."""
    spec = VoiceSpec()
    lines: list[SpokenLine] = []
    parts: list[AvatarPart] = []
    with (
        open_voice("espeak_ng", spec, DeviceSpec()) as voice,
        open_performer("viseme") as performer,
    ):
        cast = voice.cast(speakers, {})
        wanted = [
            LineSpec(text=text, voice=cast[speakers[i % len(speakers)]])
            for i, text in enumerate(LINES)
        ]
        for index, raw in enumerate(voice.say(wanted)):
            said = polish(raw, spec)
            with store.draft(".flac") as draft:
                write_flac(draft.path, said.samples)
            line = SpokenLine(
                index=index,
                speaker=speakers[index % len(speakers)],
                text=LINES[index],
                engine="espeak_ng",
                voice=wanted[index].voice,
                audio=draft.taken(),
                num_samples=len(said.samples),
                words=said.words,
                phonemes=said.phonemes,
            )
            num_frames = -(-line.num_samples * fps // SAMPLE_RATE)
            motion = performer.perform(
                LineSound(
                    samples=said.samples,
                    phonemes=said.phonemes,
                    words=said.words,
                    num_frames=num_frames,
                    fps=fps,
                    seed=index,
                )
            )
            with store.draft(".npy") as draft:
                np.save(draft.path, motion)
            lines.append(line)
            parts.append(
                AvatarPart(line=index, start_frame=0, num_frames=num_frames, data=draft.taken())
            )
    return lines, parts


def _caption(line: SpokenLine, at: int) -> Caption:
    words = line.text.split()
    half = (len(words) + 1) // 2
    rows = (
        (line.text,) if len(line.text) <= 42 else (" ".join(words[:half]), " ".join(words[half:]))
    )
    return Caption(
        speaker=line.speaker,
        lines=rows,
        start=at,
        num_samples=line.num_samples,
        words=tuple(
            Word(text=word.text, start=at + word.start, num_samples=word.num_samples)
            for word in line.words
        ),
    )


def _mix(store: Store, speech: SpeechTrack) -> Mix:
    """Speech over a soft chord, written block by block."""
    from studio.audio import open_flac, read_flac

    sounds = {line.audio: read_flac(store.path(line.audio)) for line in speech.lines}
    with store.draft(".flac") as draft, open_flac(draft.path, 2) as file:
        block = SAMPLE_RATE * 10
        for first in range(0, speech.num_samples, block):
            count = min(block, speech.num_samples - first)
            t = (first + np.arange(count)) / SAMPLE_RATE
            bed = sum(0.012 * np.sin(2 * np.pi * hz * t) for hz in (110.0, 164.8, 220.0, 277.2))
            mixed = np.asarray(bed * (1.0 + 0.3 * np.sin(2 * np.pi * 0.2 * t)), np.float32)
            for line, start in zip(speech.lines, speech.starts, strict=True):
                low, high = max(first, start), min(first + count, start + line.num_samples)
                if high > low:
                    mixed[low - first : high - first] += sounds[line.audio][
                        low - start : high - start
                    ]
            file.write(np.stack([mixed, mixed], axis=1))
    blob = draft.taken()
    return Mix(
        audio=blob,
        speech_stem=blob,
        music_stem=blob,
        sample_rate=SAMPLE_RATE,
        num_samples=speech.num_samples,
        num_channels=2,
        loudness_lufs=-16.0,
        true_peak_dbtp=-1.0,
    )


def finished_frames(show: Show, picture: PictureSpec, store: Store, path: Path) -> float:
    """Draw every frame into a raw file; returns the CPU seconds that drawing took."""
    layout = lay_out(picture, len(show.clips))
    canvas = Planes.empty(layout.width, layout.height)
    drawn = 0.0
    with open_scene(show, picture, layout, store) as scene, path.open("wb") as file:
        for frame in range(_frames(show, picture)):
            before = time.thread_time()
            scene.draw(frame, canvas)
            drawn += time.thread_time() - before
            for plane in (canvas.y, canvas.u, canvas.v):
                file.write(plane.tobytes())
    return drawn


def encode_finished(
    show: Show, picture: PictureSpec, spec: EncodeSpec, store: Store, raw: Path, path: Path
) -> float:
    """Encode the raw file's frames with sound; CPU seconds without the copying of the frames."""
    layout = lay_out(picture, len(show.clips))
    job = _job(show, picture, store)
    trial, _ = choose_encoder(("pyav:libx264",))
    num_pixels = layout.width * layout.height
    frames = np.memmap(raw, np.uint8, "r").reshape(-1, num_pixels * 3 // 2)
    copied, before = 0.0, time.process_time()
    with open_sink(trial, spec, job, path) as sink:
        for frame in frames:
            start = time.thread_time()
            _unpack(frame, sink.planes)
            copied += time.thread_time() - start
            sink.send()
    return time.process_time() - before - copied


def _unpack(frame: NDArray[np.uint8], planes: tuple[NDArray[np.uint8], ...]) -> None:
    start = 0
    for plane in planes:
        np.copyto(plane, frame[start : start + plane.size].reshape(plane.shape))
        start += plane.size


def _frames(show: Show, picture: PictureSpec) -> int:
    return frame_count(show.mix.num_samples, picture.fps)


def _job(show: Show, picture: PictureSpec, store: Store) -> Job:
    layout = lay_out(picture, len(show.clips))
    return Job(
        width=layout.width,
        height=layout.height,
        fps=picture.fps,
        num_frames=_frames(show, picture),
        sound=store.path(show.mix.audio),
        title=show.title,
        chapters=show.chapters,
    )


def quality(raw: Path, encoded: Path) -> tuple[float, float]:
    """PSNR (dB) and SSIM of luma, means over every tenth frame, of a file against its source."""
    psnrs, ssims = [], []
    with av.open(str(encoded)) as container:
        stream = container.streams.video[0]
        width, height = stream.width, stream.height
        frames = np.memmap(raw, np.uint8, "r").reshape(-1, width * height * 3 // 2)
        for index, frame in enumerate(container.decode(stream)):
            if index % 10:
                continue
            source = frames[index, : width * height].reshape(height, width).astype(np.float32)
            plane = frame.planes[0]
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
            found = rows[:height, :width].astype(np.float32)
            error = float(np.mean((source - found) ** 2))
            psnrs.append(10.0 * np.log10(255.0**2 / max(error, 1e-3)))
            ssims.append(_ssim(source, found))
    return float(np.mean(psnrs)), float(np.mean(ssims))


def _ssim(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Mean structural similarity with an 11 px Gaussian window (Wang et al., 2004)."""

    def mean(image: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.GaussianBlur(image, (11, 11), 1.5), np.float32)

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    m1, m2 = mean(first), mean(second)
    v1, v2 = mean(first * first) - m1 * m1, mean(second * second) - m2 * m2
    both = mean(first * second) - m1 * m2
    top = (2 * m1 * m2 + c1) * (2 * both + c2)
    return float(np.mean(top / ((m1 * m1 + m2 * m2 + c1) * (v1 + v2 + c2))))


def painting(show: Show, picture: PictureSpec, store: Store) -> float:
    """CPU seconds of the hosts' painters alone, over all frames."""
    layout = lay_out(picture, len(show.clips))
    spent = 0.0
    for clip, box in zip(show.clips, layout.hosts, strict=True):
        with open_presenter(clip, box.w, "front", 1.0, store) as painter:
            before = time.thread_time()
            for frame in range(_frames(show, picture)):
                painter.paint(frame)
            spent += time.thread_time() - before
    return spent


def compare(
    store: Store, folder: Path, seconds: float, hosts: int, presets: tuple[str, ...]
) -> None:
    """Print the presets, then drawing + encode against the bare encoder."""
    picture = PictureSpec()
    show = make_show(store, seconds, hosts, picture.fps)
    raw, encoded = folder / "frames.yuv", folder / "bare.mp4"
    drawn = finished_frames(show, picture, store, raw)
    default = EncodeSpec().preset
    print("\npreset      CPU s/s   kbit/s   PSNR dB     SSIM")
    bare = 0.0
    for preset in presets:
        spec = EncodeSpec.model_validate({"preset": preset})
        cpu = encode_finished(show, picture, spec, store, raw, encoded)
        bare = cpu if preset == default else bare
        psnr, ssim = quality(raw, encoded)
        kbps = encoded.stat().st_size * 8 / seconds / 1000
        mark = " (default)" if preset == default else ""
        print(f"{preset:10} {cpu / seconds:8.3f} {kbps:8.0f} {psnr:9.2f} {ssim:8.4f}{mark}")
    raw.unlink()
    print(f"\nbare encoder, same frames, default preset  {bare / seconds:6.3f} CPU s per second")
    print(f"drawing alone                              {drawn / seconds:6.3f} CPU s per second")
    hosts_s = painting(show, picture, store) / seconds
    print(f"  of which the hosts' painters             {hosts_s:6.3f} CPU s per second")
    print_stage(show, picture, store, encoded)


def print_stage(show: Show, picture: PictureSpec, store: Store, path: Path) -> None:
    """Run the stage and tell its parts. Drawing and encoding alternate in one run, so that other
    work on the machine slows both alike; the encoder's cost is what the parts leave of the whole.
    """
    layout = lay_out(picture, len(show.clips))
    job, drawn = _job(show, picture, store), 0.0
    seconds = show.mix.num_samples / SAMPLE_RATE
    trial, _ = choose_encoder(("pyav:libx264",))
    begun = time.process_time()
    with open_scene(show, picture, layout, store) as scene:
        set_up = time.process_time() - begun
        with open_sink(trial, EncodeSpec(), job, path) as sink:
            canvas = Planes(*sink.planes)
            for frame in range(job.num_frames):
                before = time.thread_time()
                scene.draw(frame, canvas)
                drawn += time.thread_time() - before
                sink.send()
    whole = time.process_time() - begun
    encoding = whole - drawn - set_up
    print("\nthe stage, all in one run")
    print(f"  set-up, once                             {set_up:6.3f} CPU s")
    print(f"  encoder and sound                        {encoding / seconds:6.3f} CPU s per second")
    print(f"  drawing between the encoder's frames     {drawn / seconds:6.3f} CPU s per second")
    print(f"  ratio of the whole to the encoder        {whole / encoding:6.3f}")


def lengths(minutes: list[float], hosts: int, folder: Path) -> None:
    """Print cost and peak memory by length, each in a process of its own."""
    print("\nminutes   CPU s/s   wall s/s   peak MiB")
    for length in minutes:
        command = [sys.executable, __file__, "--one", str(length * 60), "--hosts", str(hosts)]
        run = subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "TMPDIR": str(folder)},
        )
        print(f"{length:7.2f} {run.stdout.strip()}")


def one(store: Store, seconds: float, hosts: int) -> None:
    """Encode one episode and print what it took."""
    show = make_show(store, seconds, hosts, 30)
    trial, _ = choose_encoder(("pyav:libx264",))
    cpu, wall = time.process_time(), time.perf_counter()
    encode_episode(show, PictureSpec(), EncodeSpec(), trial, store=store)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    # Not ru_maxrss: that one is inherited from the parent across exec.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak_mib = int(status.split("VmHWM:")[1].split()[0]) / 1024
    print(f"{cpu / seconds:9.3f} {wall / seconds:10.3f} {peak_mib:10.0f}")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--hosts", type=int, default=1)
    parser.add_argument("--minutes", type=float, nargs="*", default=[0.25, 1.0])
    parser.add_argument("--presets", action="store_true", help="compare x264's presets")
    parser.add_argument("--one", type=float, help=argparse.SUPPRESS)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = Store(folder / "store")
        if told.one:
            one(store, told.one, told.hosts)
            return
        print(f"{os.uname().nodename}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}")
        print(f"{told.hosts} host(s), waveform, captions, 1080p30, {told.seconds:g} s")
        presets = PRESETS if told.presets else (EncodeSpec().preset,)
        compare(store, folder, told.seconds, told.hosts, presets)
        lengths(told.minutes, told.hosts, folder)


if __name__ == "__main__":
    main()
