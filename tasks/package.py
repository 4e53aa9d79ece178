"""The package stage: everything of an episode in one folder, checked before it appears."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.captions import chapters_json, to_srt, to_transcript, to_vtt
from studio.keys import fingerprint
from studio.slugs import slug
from studio.specs import EncodeSpec, MixSpec, PackageSpec, PictureSpec
from studio.store import Store
from studio.tags import Tags, capped, write_id3, write_mpeg4_tags
from studio.transcript import transcript_json
from studio.types import (
    SAMPLE_RATE,
    AvatarClip,
    Blob,
    Caption,
    Chapter,
    EncodedVideo,
    EngineInfo,
    Episode,
    Fallback,
    Mix,
    MusicPlacement,
    MusicTrack,
    Script,
    SpeechTrack,
)
from tasks import stills
from tasks.delivery import MANIFEST, staged
from tasks.gate import check_release
from tasks.manifest import files_in, manifest
from tasks.promise import Expected
from tasks.remux import remux_sound, replace_sound
from tasks.soundtrack import encode_soundtrack, measure_file

MP3_MAX_KBPS = 320
"""The highest rate of MPEG-1 layer III."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """All that an episode is made of. `video` is None for an episode that is only heard."""

    script: Script
    speech: SpeechTrack
    music: MusicTrack | None
    placements: tuple[MusicPlacement, ...]
    mix: Mix
    video: EncodedVideo | None
    clips: tuple[AvatarClip, ...]
    captions: tuple[Caption, ...]
    chapters: tuple[Chapter, ...]
    engines: tuple[EngineInfo, ...]
    fallbacks: tuple[Fallback, ...]
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """What was asked for, as far as the package must know it."""

    package: PackageSpec
    mix: MixSpec
    picture: PictureSpec
    encode: EncodeSpec


def package_episode(
    contents: Contents,
    brief: Brief,
    *,
    out_dir: Path,
    store: Store,
    name: str = "",
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Episode:
    """Write the episode's folder `out_dir/<name>`, check it, and let it appear.

    `name` is the folder's and the files' name, by default made from the title. An older package of
    that name is replaced at once when the new one has passed; until then, and whenever anything
    fails, it stays as it is. Raises `OutputError` when the place cannot be written or is full,
    `DeliveryError` when the release gate does not pass, `EncodeError` when a codec fails.
    """
    name = slug(name) if name else slug(contents.script.title)
    steps = _steps(contents, brief, name, store)
    with staged(out_dir / name) as folder:
        for done, step in enumerate(steps):
            report(done, len(steps) + 1)
            step(folder)
        checks = check_release(folder, name, expected_of(contents, brief, store))
        facts = _facts(contents, brief)
        text = manifest(
            folder,
            facts,
            engines=contents.engines,
            fallbacks=contents.fallbacks,
            checks=checks,
        )
        (folder / MANIFEST).write_text(text, encoding="utf-8")
        files = tuple(files_in(folder))
        report(len(steps) + 1, len(steps) + 1)
    return Episode(
        title=contents.script.title,
        folder=str(out_dir / name),
        files=files,
        manifest_sha256=hashlib.sha256(text.encode()).hexdigest(),
        duration_s=contents.mix.num_samples / SAMPLE_RATE,
        loudness_lufs=contents.mix.loudness_lufs,
        true_peak_dbtp=contents.mix.true_peak_dbtp,
        checks=checks,
        fallbacks=contents.fallbacks,
        engines=contents.engines,
    )


def expected_of(contents: Contents, brief: Brief, store: Store) -> Expected:
    """What the release gate holds the files against."""
    return Expected(
        num_samples=contents.mix.num_samples,
        num_channels=contents.mix.num_channels,
        loudness_lufs=brief.mix.loudness_lufs,
        true_peak_dbtp=brief.mix.true_peak_dbtp,
        audio_kbps=brief.encode.audio_kbps,
        gop_s=brief.encode.gop_s,
        master=store.path(contents.mix.audio),
        video=contents.video,
        moves=bool(contents.clips) or brief.picture.visualizer is not None,
        spoken=tuple(
            (start, start + line.num_samples)
            for line, start in zip(contents.speech.lines, contents.speech.starts, strict=True)
        ),
        captions=contents.captions,
        chapters=contents.chapters,
    )


Step = Callable[[Path], None]


def _steps(contents: Contents, brief: Brief, name: str, store: Store) -> Sequence[Step]:
    """What is written, in order; the sound files need the cover."""
    steps: list[Step] = [
        lambda folder: _write_words(folder, name, contents),
        lambda folder: _draw_cover(folder, contents, brief, store),
    ]
    if contents.video is not None:
        steps.append(lambda folder: _write_video(folder, name, contents, brief, store))
    steps.append(lambda folder: _write_sound(folder, name, contents, brief, store))
    if brief.package.stems:
        steps.append(lambda folder: _write_stems(folder, contents.mix, store))
    return steps


def _write_words(folder: Path, name: str, contents: Contents) -> None:
    script, speech, chapters = contents.script, contents.speech, contents.chapters
    texts = {
        f"{name}.srt": to_srt(contents.captions),
        f"{name}.vtt": to_vtt(contents.captions),
        "transcript.txt": to_transcript(script, speech),
        "transcript.md": to_transcript(script, speech, markdown=True),
        "transcript.json": transcript_json(speech),
    }
    if chapters:
        texts["chapters.json"] = chapters_json(chapters, script.title)
    for file, text in texts.items():
        (folder / file).write_text(text, encoding="utf-8", newline="\n")


def _draw_cover(folder: Path, contents: Contents, brief: Brief, store: Store) -> None:
    visualizer = brief.picture.visualizer
    picture = stills.cover(
        contents.script.title,
        brief.package.show_name,
        brief.package.author,
        store.path(contents.mix.audio),
        contents.clips,
        contents.speech,
        colour=brief.picture.background_color,
        accent=visualizer.color if visualizer else "#ffb454",
        store=store,
    )
    (folder / "cover.jpg").write_bytes(picture)


def _write_video(folder: Path, name: str, contents: Contents, brief: Brief, store: Store) -> None:
    """The video with sound whose peaks are right, and its stills."""
    if contents.video is None:
        return
    source, target = store.path(contents.video.video), folder / f"{name}.mp4"
    peak_db = measure_file(source).true_peak_dbtp
    if peak_db is not None and peak_db > brief.mix.true_peak_dbtp:
        sound = store.path(_aac(contents, brief, store))
        replace_sound(source, sound, target, contents.script.title, contents.chapters)
    else:
        shutil.copyfile(source, target)
    (folder / "poster.jpg").write_bytes(stills.poster(target, contents.speech))
    if brief.package.contact_sheet:
        duration_s = contents.mix.num_samples / SAMPLE_RATE
        (folder / "contact_sheet.jpg").write_bytes(stills.contact_sheet(target, duration_s))


def _aac(contents: Contents, brief: Brief, store: Store) -> Blob:
    return encode_soundtrack(
        contents.mix,
        "aac",
        brief.encode.audio_kbps,
        true_peak_dbtp=brief.mix.true_peak_dbtp,
        store=store,
    ).audio


def _write_sound(folder: Path, name: str, contents: Contents, brief: Brief, store: Store) -> None:
    """M4A (the very sound of the video, where there is one) and MP3, with chapters and cover."""
    script, video = contents.script, folder / f"{name}.mp4"
    tags = Tags(
        title=script.title,
        artist=brief.package.author,
        show_name=brief.package.show_name,
        language=script.language,
        cover_jpeg=(folder / "cover.jpg").read_bytes(),
    )
    m4a, mp3 = folder / f"{name}.m4a", folder / f"{name}.mp3"
    source = video if video.exists() else store.path(_aac(contents, brief, store))
    remux_sound(source, m4a, script.title, capped(contents.chapters))
    write_mpeg4_tags(m4a, tags)
    encoded = encode_soundtrack(
        contents.mix,
        "mp3",
        min(brief.encode.audio_kbps, MP3_MAX_KBPS),
        true_peak_dbtp=brief.mix.true_peak_dbtp,
        store=store,
    )
    shutil.copyfile(store.path(encoded.audio), mp3)
    write_id3(mp3, tags, contents.chapters)


def _write_stems(folder: Path, mix: Mix, store: Store) -> None:
    stems = folder / "stems"
    stems.mkdir()
    for part, blob in (("mix", mix.audio), ("speech", mix.speech_stem), ("music", mix.music_stem)):
        shutil.copyfile(store.path(blob), stems / f"{part}.flac")


def _facts(contents: Contents, brief: Brief) -> dict[str, Any]:
    """What the manifest tells of the episode. A background is named without its folders."""
    script, mix, video = contents.script, contents.mix, contents.video
    picture = brief.picture.model_dump(mode="json")
    picture["background"] = Path(brief.picture.background).name
    hosts = {clip.speaker: clip for clip in contents.clips}
    voices = {line.speaker: line for line in contents.speech.lines}
    return {
        "title": script.title,
        "language": script.language,
        "show_name": brief.package.show_name,
        "author": brief.package.author,
        "duration_s": round(mix.num_samples / SAMPLE_RATE, 3),
        "sample_rate": mix.sample_rate,
        "num_samples": mix.num_samples,
        "seed": contents.seed,
        "script_sha256": fingerprint(script),
        "loudness": {
            "master_lufs": mix.loudness_lufs,
            "master_true_peak_dbtp": mix.true_peak_dbtp,
            "target_lufs": brief.mix.loudness_lufs,
            "ceiling_dbtp": brief.mix.true_peak_dbtp,
        },
        "video": None
        if video is None
        else {
            "encoder": video.encoder,
            "width_px": video.width_px,
            "height_px": video.height_px,
            "fps": video.fps,
            "num_frames": video.num_frames,
        },
        "speakers": [
            {
                "name": speaker,
                "voice": line.voice,
                "voice_engine": line.engine,
                "host": hosts[speaker].look if speaker in hosts else None,
                "host_engine": hosts[speaker].engine if speaker in hosts else None,
            }
            for speaker, line in voices.items()
        ],
        "retakes": [
            {"line": line.index, "takes": line.takes, "rejected": list(line.rejected)}
            for line in contents.speech.lines
            if line.takes > 1
        ],
        "music": [
            {"cue": piece.cue, "prompt": piece.prompt, "engine": piece.engine}
            for piece in (contents.music.pieces if contents.music else ())
        ],
        "chapters": [chapter.title for chapter in contents.chapters],
        "settings": {
            "mix": brief.mix.model_dump(mode="json"),
            "picture": picture,
            "encode": brief.encode.model_dump(mode="json"),
            "package": brief.package.model_dump(mode="json"),
        },
    }
