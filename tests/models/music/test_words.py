"""What is understood of a cue's words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.music.arranger.styles import GENRES, MOODS
from models.music.arranger.words import read, seed_of


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("soft piano + light synth pulse, -12dB", {"lead": "piano", "comp": "pulse"}),
        ("96 bpm funk", {"bpm": 96.0, "bpm_fixed": True}),
        ("news theme in D minor", {"root": 2, "mode": "aeolian", "role": "feature"}),
        ("jazz in F# dorian", {"root": 6, "mode": "dorian", "genre": "jazz"}),
        ("Eb major strings", {"root": 3, "mode": "ionian", "pad": "strings"}),
        ("b flat harmonic minor suspense", {"root": 10, "mode": "harmonic_minor"}),
        ("in G, acoustic guitar", {"root": 7, "genre": "acoustic", "comp": "guitar"}),
        ("lo-fi beat with rhodes", {"genre": "lofi", "kit": "lofi", "lead": "electric_piano"}),
        ("80s synth", {"genre": "electronic"}),
        ("happy ukulele, no drums, without bass", {"kit": "", "bass": "", "mood": "happy"}),
        ("epic orchestral trailer with taiko", {"mood": "epic", "kit": "cinematic"}),
        ("solo piano nocturne", {"lead": "piano", "comp": "piano", "pad": "", "bass": ""}),
        ("waltz for music box", {"beats": 3, "lead": "bell"}),
        ("jazz trio, walking bass", {"bass": "upright", "bass_line": "walking"}),
        ("drone", {"pad": "pad", "genre": "ambient"}),
        ("dark suspense sting", {"role": "gesture"}),
        ("gentle underlay", {"role": "bed", "mood": "calm"}),
    ],
)
def test_words_decide(prompt: str, expected: dict[str, object]) -> None:
    intent = read(prompt, 1)
    assert {name: getattr(intent, name) for name in expected} == expected


@pytest.mark.parametrize("refused", ["piano", "guitar", "strings", "bells", "marimba", "harp"])
def test_a_refused_instrument_never_plays(refused: str) -> None:
    alone = {"bells": "bell"}.get(refused, refused)
    for seed in range(30):
        intent = read(f"cinematic acoustic pop, no {refused}", seed)
        assert alone not in {intent.lead, intent.comp, intent.pad}


def test_a_negation_ends_with_its_clause() -> None:
    intent = read("upbeat without drums, with piano and bass", 0)
    assert (intent.kit, intent.lead) == ("", "piano")
    assert intent.bass


@pytest.mark.parametrize(
    ("slower", "faster"), [("slow jazz", "fast jazz"), ("adagio strings", "presto strings")]
)
def test_tempo_words(slower: str, faster: str) -> None:
    assert read(slower, 3).bpm + 30 < read(faster, 3).bpm


def test_adjectives_move_energy_and_brightness() -> None:
    assert read("minimal subtle pop", 0).energy < read("driving energetic pop", 0).energy - 0.3
    assert (
        read("dark muted piano", 0).brightness < read("bright sparkling piano", 0).brightness - 0.3
    )
    assert read("sparse harp", 0).density < read("busy rippling harp", 0).density


def test_levels_and_durations_are_no_music() -> None:
    assert seed_of("Soft piano, -12dB, 8 seconds", 5) == seed_of("soft  PIANO", 5)
    assert read("soft piano for 90 s", 5) == read("soft piano", 5)


def test_unknown_words_still_differ() -> None:
    prompts = ["purple elephants", "quantum marmalade", "zxqv", "", "日本の庭", "rhubarb"]
    intents = {read(p, 0) for p in prompts}
    assert len(intents) == len(prompts)
    assert len({(i.mood, i.genre) for i in intents}) >= 3
    assert len({read("music", seed) for seed in range(12)}) == 12


def test_every_mood_and_genre_can_be_asked_for() -> None:
    assert {read(mood, 0).mood for mood in MOODS} == set(MOODS)
    assert {read(f"{genre} music", 0).genre for genre in GENRES} == set(GENRES)


@given(st.text(max_size=300), st.integers(min_value=0, max_value=2**31))
def test_any_text_gives_a_playable_intent(prompt: str, seed: int) -> None:
    intent = read(prompt, seed)
    assert intent == read(prompt, seed)
    assert 30 <= intent.bpm <= 240
    assert all(0.0 < v <= 1.0 for v in (intent.energy, intent.density, intent.brightness))
    assert intent.lead or intent.comp or intent.pad or intent.bass
    assert bool(intent.comp) == bool(intent.pattern)
