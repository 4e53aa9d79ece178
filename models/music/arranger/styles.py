"""What moods and genres mean in music: tempo, mode, instruments, groove.

The figures are starting points for the choice that `words.read` makes within them; a cue's own
words ("96 bpm", "in D minor", "no drums") always win.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Mood:
    """How it feels. `bpm` is a range; `energy`, `density` (notes per bar) and `brightness` run from
    0 to 1.
    """

    bpm: tuple[int, int]
    modes: tuple[str, ...]
    energy: float
    density: float
    brightness: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Genre:
    """How it is played. Each tuple lists equally fitting choices; "" leaves the part out.

    `swing` is the share of a beat at which its second eighth falls (0.5 straight, 0.667 triplets);
    `richness` is the number of notes in a chord beyond the triad; `room` names a reverberation of
    `room.ROOMS`.
    """

    bpm: tuple[int, int]
    lead: tuple[str, ...]
    comp: tuple[str, ...]
    pattern: tuple[str, ...]
    pad: tuple[str, ...]
    bass: tuple[str, ...]
    bass_line: tuple[str, ...]
    kit: str
    swing: float
    richness: float
    room: str


MOODS: Mapping[str, Mood] = {
    "calm": Mood(
        bpm=(70, 84), modes=("ionian", "lydian"), energy=0.3, density=0.45, brightness=0.4
    ),
    "warm": Mood(
        bpm=(78, 94), modes=("ionian", "mixolydian"), energy=0.42, density=0.55, brightness=0.45
    ),
    "sad": Mood(
        bpm=(60, 74), modes=("aeolian", "dorian"), energy=0.28, density=0.4, brightness=0.3
    ),
    "happy": Mood(
        bpm=(104, 124), modes=("ionian", "ionian", "mixolydian"), energy=0.72, density=0.8,
        brightness=0.72,
    ),
    "playful": Mood(
        bpm=(98, 118), modes=("ionian", "lydian"), energy=0.55, density=0.65, brightness=0.7
    ),
    "tense": Mood(
        bpm=(84, 102), modes=("aeolian", "harmonic_minor"), energy=0.5, density=0.55,
        brightness=0.3,
    ),
    "dark": Mood(
        bpm=(62, 80), modes=("aeolian", "harmonic_minor"), energy=0.38, density=0.35,
        brightness=0.18,
    ),
    "epic": Mood(
        bpm=(88, 104), modes=("aeolian", "ionian"), energy=0.85, density=0.7, brightness=0.6
    ),
    "dreamy": Mood(
        bpm=(64, 80), modes=("lydian", "ionian", "dorian"), energy=0.25, density=0.4,
        brightness=0.5,
    ),
    "serious": Mood(
        bpm=(92, 110), modes=("dorian", "aeolian"), energy=0.58, density=0.6, brightness=0.5
    ),
}  # fmt: skip

GENRES: Mapping[str, Genre] = {
    "ambient": Genre(
        bpm=(60, 80), lead=("bell", "electric_piano", "harp"), comp=("electric_piano", "harp", ""),
        pattern=("sparse",), pad=("pad", "choir"), bass=("sub",), bass_line=("long",), kit="",
        swing=0.5, richness=1.2, room="space",
    ),
    "lofi": Genre(
        bpm=(72, 88), lead=("electric_piano", "guitar", "marimba"), comp=("electric_piano",),
        pattern=("laid_back", "blocks"), pad=("pad", ""), bass=("round",), bass_line=("lazy",),
        kit="lofi", swing=0.59, richness=1.8, room="small",
    ),
    "acoustic": Genre(
        bpm=(78, 104), lead=("guitar", "piano"), comp=("guitar",), pattern=("picking", "broken"),
        pad=("strings", ""), bass=("upright",), bass_line=("root_fifth", "long"), kit="shaker",
        swing=0.53, richness=0.5, room="small",
    ),
    "pop": Genre(
        bpm=(96, 120), lead=("piano", "marimba", "bell"), comp=("guitar", "piano", "pulse"),
        pattern=("pulse", "picking", "offbeat"), pad=("pad", "strings"), bass=("synth", "round"),
        bass_line=("eighths", "root_fifth"), kit="pop", swing=0.5, richness=0.6, room="small",
    ),
    "electronic": Genre(
        bpm=(96, 122), lead=("pulse", "bell"), comp=("pulse",), pattern=("sixteenths", "pulse"),
        pad=("pad",), bass=("synth", "sub"), bass_line=("eighths", "syncopated"),
        kit="electronic", swing=0.5, richness=0.6, room="hall",
    ),
    "cinematic": Genre(
        bpm=(76, 100), lead=("piano", "horns", "strings"), comp=("strings_short", "piano"),
        pattern=("ostinato", "broken"), pad=("strings", "choir"), bass=("cellos",),
        bass_line=("long", "root_fifth"), kit="cinematic", swing=0.5, richness=0.3, room="hall",
    ),
    "jazz": Genre(
        bpm=(88, 126), lead=("vibraphone", "electric_piano", "piano"),
        comp=("piano", "electric_piano"), pattern=("comping",), pad=("",), bass=("upright",),
        bass_line=("walking",), kit="brush", swing=0.64, richness=2.0, room="small",
    ),
    "classical": Genre(
        bpm=(66, 92), lead=("piano",), comp=("piano",), pattern=("broken", "arpeggio"),
        pad=("", "strings"), bass=("",), bass_line=("long",), kit="", swing=0.5, richness=0.4,
        room="hall",
    ),
    "news": Genre(
        bpm=(98, 116), lead=("marimba", "piano", "horns"), comp=("pulse", "strings_short"),
        pattern=("pulse", "ostinato"), pad=("strings", "pad"), bass=("synth",),
        bass_line=("eighths",), kit="electronic", swing=0.5, richness=0.4, room="hall",
    ),
    "folk": Genre(
        bpm=(80, 108), lead=("guitar", "accordion"), comp=("guitar",), pattern=("picking",),
        pad=("",), bass=("upright",), bass_line=("root_fifth",), kit="shaker", swing=0.55,
        richness=0.2, room="small",
    ),
}  # fmt: skip

MOOD_GENRES: Mapping[str, tuple[str, ...]] = {
    "calm": ("ambient", "acoustic", "lofi", "classical"),
    "warm": ("acoustic", "lofi", "pop", "folk"),
    "sad": ("classical", "cinematic", "ambient"),
    "happy": ("pop", "acoustic", "folk", "electronic"),
    "playful": ("pop", "acoustic", "jazz"),
    "tense": ("cinematic", "electronic"),
    "dark": ("ambient", "cinematic"),
    "epic": ("cinematic",),
    "dreamy": ("ambient", "electronic"),
    "serious": ("news", "cinematic", "electronic"),
}
"""Which genres a mood suggests when the words name none."""

GENRE_MOODS: Mapping[str, tuple[str, ...]] = {
    "ambient": ("calm", "dreamy"),
    "lofi": ("warm", "calm"),
    "acoustic": ("warm", "calm", "happy"),
    "pop": ("happy", "warm"),
    "electronic": ("serious", "dreamy", "happy"),
    "cinematic": ("epic", "serious", "sad"),
    "jazz": ("warm", "playful"),
    "classical": ("calm", "sad", "warm"),
    "news": ("serious",),
    "folk": ("warm", "happy"),
}
"""Which moods a genre suggests when the words name none."""
