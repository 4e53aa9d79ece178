import numpy as np
import pytest

from models.picture.captions import CaptionLayer
from models.picture.planes import Planes, Rect
from studio.specs import CaptionSpec
from studio.types import SAMPLE_RATE, Caption, Word

BOX = Rect(0, 0, 640, 120)
FPS = 10


def caption(lines: tuple[str, ...], words: tuple[str, ...], start_s: float = 0.0) -> Caption:
    step = SAMPLE_RATE // 2
    start = round(start_s * SAMPLE_RATE)
    return Caption(
        speaker="A",
        lines=lines,
        start=start,
        num_samples=step * max(1, len(words)),
        words=tuple(
            Word(text=word, start=start + index * step, num_samples=step)
            for index, word in enumerate(words)
        ),
    )


def shown(layer: CaptionLayer, frame: int) -> Planes:
    canvas = Planes.empty(BOX.w, BOX.h)
    canvas.y.fill(120)
    layer.update(frame)
    layer.paint(canvas, BOX.inner)
    return canvas


def lit_columns(canvas: Planes) -> tuple[int, int]:
    """Columns whose chroma is not grey: the highlighted word (the default colour is amber)."""
    columns = np.flatnonzero((np.abs(canvas.u.astype(int) - 128) > 25).any(axis=0))
    return int(columns[0]) * 2, int(columns[-1]) * 2


def test_nothing_is_drawn_before_and_after() -> None:
    layer = CaptionLayer([caption(("One two",), ("One", "two"), 1.0)], BOX, 36, CaptionSpec(), FPS)
    empty = shown(layer, 0)
    assert set(np.unique(empty.y)) == {120}
    assert (shown(layer, 10).y != 120).any()
    assert set(np.unique(shown(layer, 20).y)) == {120}


def test_only_changes_are_reported() -> None:
    layer = CaptionLayer([caption(("One two",), ("One", "two"))], BOX, 36, CaptionSpec(), FPS)
    changes = [frame for frame in range(12) if layer.update(frame) is not None]
    assert changes == [0, 5, 10]


def test_the_lit_word_walks_along_the_line() -> None:
    words = ("One", "two", "three")
    layer = CaptionLayer([caption(("One two three",), words)], BOX, 36, CaptionSpec(), FPS)
    spans = [lit_columns(shown(layer, frame)) for frame in (0, 5, 10)]
    assert spans[0][1] < spans[1][0] < spans[1][1] < spans[2][0]


def test_the_lit_word_walks_backwards_in_hebrew() -> None:
    words = ("שלום", "לכל", "העולם")
    layer = CaptionLayer([caption(("שלום לכל העולם",), words)], BOX, 36, CaptionSpec(), FPS)
    spans = [lit_columns(shown(layer, frame)) for frame in (0, 5, 10)]
    assert spans[0][0] > spans[1][1] > spans[1][0] > spans[2][1]


def test_words_without_spaces_are_lit_one_by_one() -> None:
    layer = CaptionLayer([caption(("你好世界",), ("你好", "世界"))], BOX, 36, CaptionSpec(), FPS)
    first, second = (lit_columns(shown(layer, frame)) for frame in (0, 5))
    assert first[1] <= second[0] + 4


@pytest.mark.parametrize(
    "change",
    [{"color": "#ff3030"}, {"highlight": False}, {"highlight_color": "#30ff60"}],
    ids=lambda change: next(iter(change)),
)
def test_colours_and_highlight_change_pixels(change: dict[str, object]) -> None:
    cue = caption(("One two",), ("One", "two"))
    plain = shown(CaptionLayer([cue], BOX, 36, CaptionSpec(), FPS), 0)
    spec = CaptionSpec.model_validate(change)
    other = shown(CaptionLayer([cue], BOX, 36, spec, FPS), 0)
    assert (plain.u != other.u).sum() + (plain.v != other.v).sum() > 40


@pytest.mark.parametrize(
    "text",
    [
        "x" * 60,
        "%{title} [brackets] 'quotes': 100% \\N {\\an8}",
        "a",
        "مرحبا بكم في هذه الحلقة",
        "🎧🎙️",
    ],
)
def test_any_text_stays_in_its_box(text: str) -> None:
    layer = CaptionLayer([caption((text, text), (text,))], BOX, 36, CaptionSpec(), FPS)
    canvas = shown(layer, 0)
    assert (canvas.y > 180).sum() > 20
    assert (canvas.y[:, 0] == 120).sum() > 10


def test_words_light_up_when_they_sound_however_late_the_caption() -> None:
    """Times of words are samples of the episode, as `Caption` says, not of the caption."""
    cue = caption(("One two",), ("One", "two"), 3.0)
    layer = CaptionLayer([cue], BOX, 36, CaptionSpec(), FPS)
    first, second = lit_columns(shown(layer, 31)), lit_columns(shown(layer, 36))
    assert first[1] < second[0]
