from __future__ import annotations

from models.voice.durations import Symbol, symbol_times
from models.voice.reading import read


def _symbols(text: str, length: int) -> list[Symbol]:
    """Each letter `length` samples, with an unwritten symbol of one sample before it."""
    out: list[Symbol] = []
    for letter in text:
        out += [Symbol(text="", num_samples=1), Symbol(text=letter, num_samples=length)]
    return out


def test_marks_go_with_their_letters_and_long_gaps_are_pauses() -> None:
    symbols = _symbols("həlˈoʊ", 10) + _symbols(",", 2000) + _symbols(" wˈɜːld", 10)
    total = sum(symbol.num_samples for symbol in symbols)
    times = symbol_times(symbols, read("Hello, world", "en"), total, 22_050)
    assert times is not None
    words, phonemes = times
    assert [p.symbol for p in phonemes] == ["h", "ə", "l", "ˈo", "ʊ", "", "w", "ˈɜː", "l", "d"]
    stops = [p.start + p.num_samples for p in phonemes]
    assert phonemes[0].start == 0
    assert [p.start for p in phonemes[1:]] == stops[:-1]
    assert stops[-1] == total
    assert [word.text for word in words] == ["Hello,", "world"]
    assert words[0].start + words[0].num_samples <= phonemes[5].start
    assert abs(words[1].start - phonemes[6].start) <= 12


def test_joined_words_cannot_be_told_apart() -> None:
    symbols = _symbols("ʌvðə dˈɔɡ", 10)
    assert symbol_times(symbols, read("of the dog", "en"), 200, 22_050) is None
    assert symbol_times([], read("dog", "en"), 0, 22_050) is None


def test_many_words_for_a_written_one_share_its_time() -> None:
    symbols = _symbols("faɪv dɑlɚz pliz", 100)
    total = sum(symbol.num_samples for symbol in symbols)
    times = symbol_times(symbols, read("$5 please", "en"), total, 22_050)
    assert times is not None
    first, second = times[0]
    assert (first.text, second.text) == ("$5", "please")
    assert second.start > 0.6 * total
