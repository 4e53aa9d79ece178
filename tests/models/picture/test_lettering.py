import itertools

import numpy as np
import pytest
from PIL import Image, features

from models.picture import lettering


def ink(text: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    line = lettering.set_line(lettering.pieces_of(text), "text", 40)
    image = Image.new("L", (int(line.width) + 20, 70))
    lettering.draw_line(image, line, 10, 50)
    return lettering.as_coverage(image)


@pytest.mark.parametrize(
    "text",
    [
        "Grüße",
        "Ελλάδα",
        "Привет",
        "مرحبا",
        "שלום",
        "नमस्ते",
        "ไทย",
        "你好",
        "こんにちは",
        "한국어",
        "🎧",
    ],
)
def test_every_vendored_script_draws_its_own_letters(text: str) -> None:
    drawn, missing = ink(text), ink("\U000e0fff" * len(text))
    assert (drawn > 128).sum() > 60
    assert drawn.shape != missing.shape or not np.array_equal(drawn, missing)


def test_pillow_shapes_text() -> None:
    assert lettering.shapes_text() == features.check("raqm")


def test_words_stand_in_reading_order() -> None:
    line = lettering.set_line(["one ", "two ", "three"], "text", 30)
    lefts = [piece.left for piece in line.pieces]
    assert lefts == sorted(lefts)
    assert line.width == pytest.approx(lefts[-1] + line.pieces[-1].width)


def test_right_to_left_lines_begin_at_the_right() -> None:
    line = lettering.set_line(["שלום ", "עולם ", "ABC ", "DEF"], "text", 30)
    first, second, third, fourth = (piece.left for piece in line.pieces)
    assert first > second > fourth > third


def test_pieces_do_not_overlap() -> None:
    line = lettering.set_line(["say ", "שלום ", "עולם ", "now"], "text", 30)
    spans = sorted((piece.left, piece.left + piece.width) for piece in line.pieces)
    assert all(a[1] <= b[0] + 1e-6 for a, b in itertools.pairwise(spans))


def test_fitted_shrinks_then_cuts() -> None:
    short = lettering.fitted("Title", "display", 40, 500)
    assert short.size_px == 40
    smaller = lettering.fitted("A title of some length", "display", 40, 350)
    assert smaller.size_px < 40
    assert smaller.width <= 350
    cut = lettering.fitted("word " * 60, "display", 40, 400)
    assert cut.width <= 400
    assert cut.pieces[-1].text.endswith("…")


def test_wrapped_keeps_every_word_in_balanced_lines() -> None:
    text = "why the sea sings and who is listening tonight"
    lines = lettering.wrapped(text, "display", 40, 420)
    assert " ".join(piece.text for line in lines for piece in line.pieces) == text
    assert all(line.width <= 420 for line in lines)
    assert min(line.width for line in lines) > 0.4 * max(line.width for line in lines)
