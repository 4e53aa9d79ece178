"""The release gate: the finished files, decoded as a listener's player decodes them, against what
was promised.

Every figure is a `Check`; one that fails fails the run. Sound is decoded and measured from its
first to its last sample (once, where two files hold the very same packets). Of the picture every
packet's time is read, and the pictures of all key frames and of the last two groups are decoded
(`tasks.watching`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import mutagen.id3

from studio.captions import check_captions
from studio.errors import DeliveryError
from studio.tags import MAX_CHAPTERS, capped
from studio.types import SAMPLE_RATE, Chapter, Check
from tasks.listening import Heard, listen, same_sound
from tasks.picture_checks import check_picture
from tasks.promise import Expected, check
from tasks.sound_checks import check_sound
from tasks.watching import watch

# mutagen has no types.
_id3: Any = mutagen.id3

_TIME = re.compile(r"(\d+):(\d\d):(\d\d)[.,](\d{3}) --> (\d+):(\d\d):(\d\d)[.,](\d{3})")


def check_release(folder: Path, name: str, expected: Expected) -> tuple[Check, ...]:
    """Check the files `name.*` of a package.

    Raises `DeliveryError` with the figures of every check that failed, or when a file is missing
    or cannot be decoded.
    """
    kinds = (".mp4", ".m4a", ".mp3") if expected.video else (".m4a", ".mp3")
    for kind in (*kinds, ".srt", ".vtt"):
        if not (folder / f"{name}{kind}").is_file():
            raise DeliveryError(f"{name}{kind}", "is missing", "Run again")
    checks: list[Check] = []
    video = folder / f"{name}.mp4"
    heard: Heard | None = None
    for kind in kinds:
        file = folder / f"{name}{kind}"
        if heard is None or kind != ".m4a" or not same_sound(video, file):
            heard = listen(file, expected.master, _places(expected.spoken))
        checks += [_named(kind, check) for check in check_sound(heard, expected, kind)]
        checks += [_named(kind, check) for check in check_chapters(file, expected.chapters)]
    if expected.video is not None:
        watched = watch(video)
        checks += [_named(".mp4", check) for check in check_picture(watched, expected)]
    checks += check_caption_files(folder, name, expected)
    failed = [check for check in checks if not check.passed]
    if failed:
        figures = "; ".join(f"{c.name} {c.measured} (must be {c.required})" for c in failed)
        raise DeliveryError(name, figures, "Nothing was delivered; report this with its script")
    return tuple(checks)


def _named(kind: str, check: Check) -> Check:
    return Check(
        name=f"{kind[1:]} {check.name}",
        measured=check.measured,
        required=check.required,
        passed=check.passed,
    )


def _places(spoken: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """Where the sound is compared with the master: the first, a middle and the last line."""
    starts = [start for start, end in spoken if end - start > SAMPLE_RATE // 2]
    chosen = [starts[0], starts[len(starts) // 2], starts[-1]] if starts else []
    return tuple(dict.fromkeys(chosen))


def check_chapters(file: Path, chapters: Sequence[Chapter]) -> Iterator[Check]:
    """Titles and times of the chapters that players find in a file."""
    if not chapters:
        return
    wanted = [(c.title, c.start * 1000 // SAMPLE_RATE) for c in capped(chapters)]
    if file.suffix == ".mp4":
        wanted = [(c.title, c.start * 1000 // SAMPLE_RATE) for c in chapters]
    found = _id3_chapters(file) if file.suffix == ".mp3" else _mp4_chapters(file)
    same = len(found) == len(wanted) and all(
        one[0] == two[0] and abs(one[1] - two[1]) <= 2
        for one, two in zip(found, wanted, strict=False)
    )
    ordered = all(a[1] < b[1] for a, b in pairwise(found))
    state = "as planned" if same else "others than planned"
    yield check("chapters", f"{len(found)}, {state}", f"{len(wanted)}, in order", same and ordered)


def _mp4_chapters(file: Path) -> list[tuple[str, int]]:
    with av.open(str(file)) as container:
        return [
            (
                str(chapter["metadata"].get("title", "")),
                round(chapter["start"] * (chapter["time_base"] or 0) * 1000),
            )
            for chapter in container.chapters()
        ]


def _id3_chapters(file: Path) -> list[tuple[str, int]]:
    """The chapters in the order of the file's own table of contents."""
    tags: Any = _id3.ID3(file)
    tables = tags.getall("CTOC")
    if len(tables) != 1 or len(tables[0].child_element_ids) > MAX_CHAPTERS:
        return []
    by_id = {chapter.element_id: chapter for chapter in tags.getall("CHAP")}
    return [
        (str(by_id[name].sub_frames["TIT2"].text[0]), by_id[name].start_time)
        for name in tables[0].child_element_ids
        if name in by_id
    ]


def check_caption_files(folder: Path, name: str, expected: Expected) -> Iterator[Check]:
    """The rules of reading, and the files' cues against the captions."""
    problems = check_captions(expected.captions)
    said = problems[0] if problems else "all kept"
    yield check("caption rules", said, "all kept", not problems)
    for kind in ("srt", "vtt"):
        text = (folder / f"{name}.{kind}").read_text(encoding="utf-8")
        spans = [_span_ms(found.groups()) for found in _TIME.finditer(text)]
        end = expected.num_samples * 1000 // SAMPLE_RATE
        ordered = all(a[1] <= b[0] for a, b in pairwise(spans))
        inside = all(0 <= start < stop <= end + 1 for start, stop in spans)
        wanted = len(expected.captions)
        yield check(
            f"{kind} cues",
            f"{len(spans)}" + ("" if ordered and inside else ", out of order or range"),
            f"{wanted}, in order",
            len(spans) == wanted and ordered and inside,
        )


def _span_ms(parts: Sequence[str]) -> tuple[int, int]:
    hours, minutes, seconds, ms, *rest = (int(part) for part in parts)
    start = ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms
    hours, minutes, seconds, ms = rest
    return start, ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms
