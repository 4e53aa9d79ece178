"""Recordings and their text as they lie on disk: LJSpeech folders, manifests, episode packages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.corpus import Quarantined
from studio.errors import MediaError
from tasks.package_facts import read_lines

METADATA = "metadata.csv"
MANIFEST = "manifest.jsonl"
TRANSCRIPT = "transcript.json"
SPEECH_STEM = "stems/speech.flac"

_SOUNDS = (".wav", ".flac")


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """A recording, or a stretch of one, and what is said in it.

    `text` is the written form; `said` its normalised form where the source has one. `start_s` and
    `length_s` cut a stretch out of a longer file; None is the whole file. `ours` marks sound that
    the studio made: its rate and channels are known and converted, where a stranger's are refused.
    `phonemes` are `(symbol, start, length)` in seconds from the take's start.
    """

    id: str
    text: str
    path: Path
    source: str
    said: str = ""
    speaker: str = ""
    start_s: float | None = None
    length_s: float | None = None
    ours: bool = False
    phonemes: tuple[tuple[str, float, float], ...] | None = None


Listed = Take | Quarantined


def list_takes(sources: Iterable[Path]) -> list[Listed]:
    """Every take of the sources in their order, and every line that is none.

    A source is a folder with `metadata.csv` and `wavs/` (LJSpeech), a folder with `manifest.jsonl`
    or such a file (a JSON object a line, in NeMo's words), an episode package, or a folder of
    packages. An id that comes twice is used the first time. Raises `MediaError` for anything else.
    """
    listed: list[Listed] = []
    seen: dict[str, str] = {}
    for source in sources:
        for item in _takes_of(source):
            if isinstance(item, Take):
                if item.id in seen:
                    found = f"also in {seen[item.id]}"
                    listed.append(_put_aside(item.id, item.source, "duplicate_id", found))
                    continue
                seen[item.id] = item.source
            listed.append(item)
    return listed


def _takes_of(source: Path) -> Iterator[Listed]:
    if source.is_file() and source.suffix == ".jsonl":
        return _manifest_takes(source)
    if (source / METADATA).is_file():
        return _ljspeech_takes(source)
    if (source / MANIFEST).is_file():
        return _manifest_takes(source / MANIFEST)
    packages = [source] if (source / TRANSCRIPT).is_file() else []
    if not packages and source.is_dir():
        packages = sorted(p.parent for p in source.glob(f"*/{TRANSCRIPT}"))
    if packages:
        return (take for package in packages for take in _package_takes(package))
    found = "no such folder" if not source.exists() else "holds no list of recordings"
    remedy = f"Give a folder with {METADATA} and wavs/, a .jsonl manifest, or episode packages"
    raise MediaError(str(source), found, remedy)


def _put_aside(name: str, source: str, reason: Any, found: str) -> Quarantined:
    return Quarantined(id=name, source=source, reason=reason, found=found)


def _ljspeech_takes(folder: Path) -> Iterator[Listed]:
    """`id|text|normalised text` a line, UTF-8, no quoting: as LJSpeech 1.1 has it."""
    wavs = folder / "wavs"
    there = {path.name for path in wavs.iterdir()} if wavs.is_dir() else set()
    named: set[str] = set()
    for number, raw in enumerate((folder / METADATA).read_bytes().split(b"\n"), start=1):
        where = f"{METADATA}:{number}"
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r")
        except UnicodeDecodeError as error:
            yield _put_aside(where, where, "bad_row", f"not UTF-8 ({error.reason})")
            continue
        if not line.strip():
            continue
        fields = line.split("|")
        name = fields[0].strip()
        if len(fields) not in (2, 3) or not name or Path(name).name != name:
            found = f"{len(fields)} fields, id {name[:40]!r}"
            yield _put_aside(name or where, where, "bad_row", found)
            continue
        file = next((f"{name}{end}" for end in _SOUNDS if f"{name}{end}" in there), f"{name}.wav")
        named.add(file)
        said = fields[2].strip() if len(fields) == 3 else ""
        yield Take(
            id=name,
            text=fields[1].strip(),
            said=said,
            path=wavs / file,
            source=f"{folder.name}/wavs/{file}",
        )
    for file in sorted(there - named):
        if Path(file).suffix in _SOUNDS:
            where = f"{folder.name}/wavs/{file}"
            yield _put_aside(Path(file).stem, where, "unlisted", f"no line of {METADATA} names it")


def _manifest_takes(manifest: Path) -> Iterator[Listed]:
    """`audio_filepath` (relative to the manifest) and `text`; optional `id`, `speaker`, `offset`
    and `duration` in seconds, `phonemes` as `[symbol, start_s, length_s]`.
    """
    for number, raw in enumerate(manifest.read_bytes().split(b"\n"), start=1):
        where = f"{manifest.name}:{number}"
        if not raw.strip():
            continue
        try:
            told = json.loads(raw)
            file = Path(told["audio_filepath"])
            name = str(told.get("id") or file.stem)
            offset, length = told.get("offset"), told.get("duration")
            cut = offset is not None
            phonemes = told.get("phonemes")
            yield Take(
                id=name,
                text=str(told["text"]).strip(),
                path=manifest.parent / file,
                source=file.as_posix(),
                speaker=str(told.get("speaker") or ""),
                start_s=float(offset) if cut else None,
                length_s=float(length) if cut and length is not None else None,
                phonemes=None
                if phonemes is None
                else tuple((str(s), float(a), float(n)) for s, a, n in phonemes),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            yield _put_aside(where, where, "bad_row", f"{type(error).__name__}: {error}")


def _package_takes(package: Path) -> Iterator[Listed]:
    """The lines of an episode package: text and times of `transcript.json`, the speech stem."""
    segments = read_lines(package / TRANSCRIPT)
    stem = package / SPEECH_STEM
    if not stem.is_file():
        remedy = "Make the episode with package.stems=true: only its stem is speech alone"
        raise MediaError(str(package), f"has no {SPEECH_STEM}", remedy)
    for index, segment in enumerate(segments):
        yield Take(
            id=f"{package.name}-{index:04d}",
            text=segment.body,
            path=stem,
            source=f"{package.name}/{SPEECH_STEM}",
            speaker=segment.speaker,
            start_s=segment.start_s,
            length_s=segment.end_s - segment.start_s,
            ours=True,
        )
