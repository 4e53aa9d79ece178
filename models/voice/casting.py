"""Who speaks how: the embedded voice's timbres and languages, a distinct voice per speaker."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from models.voice.espeak_library import catalogue, variants
from studio.errors import SettingError

Sex = Literal["female", "male"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timbre:
    """A voice to cast: a variant of the library, its pitch against the variant's own (percentage
    points) and pace.
    """

    name: str
    variant: str
    sex: Sex
    pitch_shift_pct: int = 0
    pace: float = 1.0


TIMBRES = (
    Timbre(name="tenor", variant="m3", sex="male", pitch_shift_pct=10),
    Timbre(name="alto", variant="f1", sex="female"),
    Timbre(name="bass", variant="adam", sex="male", pitch_shift_pct=-28, pace=0.97),
    Timbre(name="soprano", variant="linda", sex="female", pace=1.02),
    Timbre(name="baritone", variant="m7", sex="male", pitch_shift_pct=-18),
    Timbre(name="contralto", variant="aunty", sex="female", pitch_shift_pct=-12, pace=0.98),
    Timbre(name="countertenor", variant="john", sex="male", pitch_shift_pct=24, pace=1.03),
    Timbre(name="mezzo", variant="grandma", sex="female"),
)
"""The voices that are cast, in order.

Each variant gives the same bits in every process and thread (of the library's 104 variants f2, f3,
f5, Alicia, Demonic, Reed, caleb, sandro, victor, whisper and whisperf do not), and each differs
from every other here by at least two semitones of median pitch or 3 dB of mean spectrum.
"""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


FEMALE_NAMES = _names("""
    ada alice amelia amy ana anna anne ava barbara bella carla carol catherine charlotte chloe
    clara claire diana  donna dora elena elise elizabeth ella emily emma erin eva eve fatima
    fiona frida grace hanna hannah helen ines  ingrid irene isabel jane jasmine jennifer
    jessica jill joan judy julia julie karen kate katie laura lena leila  lily linda lisa lucy
    maria marie mary maya megan mei mia michelle molly nadia nancy naomi natalie nina nora
    olivia patricia paula petra priya rachel rebecca rita rosa rose ruth sally samantha sandra
    sara sarah sofia  sophia sophie susan tessa tina ursula vera victoria wendy yuki zoe
    hostess mother queen woman girl
""")
MALE_NAMES = _names("""
    aaron adam ahmed alan albert alex alexander andrew andy anton arthur ben benjamin bill bob
    brian carl carlos  charles charlie chris christian daniel dave david dean dennis diego
    donald ed edward eric ethan felix frank fred  gary george greg hans harry henry hiro hugo
    ian ivan jack jacob jake james jan jason jeff jim joe john jonas  jose joseph juan karl
    kevin kurt larry leo liam louis lucas luke marco mark martin matt max michael mike miguel
    mohammed nick noah omar oscar otto patrick paul pedro peter phil raj ralph richard rob
    robert roger ryan sam  samuel scott sean simon stefan steve steven ted theo thomas tim tom
    tony victor walter will william father king  man boy
""")
"""Given names whose bearers are mostly women, or men: a hint for the cast, overruled by any wish.
"""


def known_voices() -> tuple[str, ...]:
    """Every name that `timbre` accepts: the cast's own, then the library's variants."""
    return (*(timbre.name for timbre in TIMBRES), *variants())


def timbre(voice: str) -> Timbre:
    """The timbre called `voice`: one of `TIMBRES`, a variant of the library, or "" for the first.

    A prefix as in `en-gb+alto` (see `accent`) is passed over. Raises `SettingError` naming the
    nearest voices.
    """
    name = voice.rpartition("+")[2].strip().casefold()
    if not name or name in catalogue():
        return TIMBRES[0]
    for candidate in TIMBRES:
        if candidate.name == name:
            return candidate
    for variant in variants():
        if variant.casefold() == name:
            return Timbre(name=variant, variant=variant, sex="male")
    raise _unknown("voice", voice, name, known_voices(), "en-gb+alto")


def accent(voice: str) -> str:
    """The language that `voice` asks for by itself, as in `en-gb+alto` or `en-gb`; "" when it names
    none.
    """
    prefix, plus, name = voice.rpartition("+")
    asked = prefix if plus else name
    return asked if plus or asked.casefold() in catalogue() else ""


def library_voice(language: str) -> str:
    """The library's identifier for a language tag: `en-US`, `en_gb`, `de-DE`, `pt-BR`, `cmn`.

    A region that the library does not know is dropped (`de-at` speaks `de`); plain `en` is American
    English. Raises `SettingError` naming near ones for a language that it does not speak.
    """
    codes = catalogue()
    tag = language.strip().replace("_", "-").casefold()
    parts = ("en-us" if tag == "en" else tag).split("-")
    for length in range(len(parts), 0, -1):
        if (code := "-".join(parts[:length])) in codes:
            return codes[code]
    raise _unknown("language", language, tag, tuple(codes), "en-us")


def _unknown(what: str, found: str, key: str, known: Sequence[str], example: str) -> SettingError:
    lowered = {name.casefold(): name for name in known}
    near = [lowered[name] for name in difflib.get_close_matches(key, lowered, n=3, cutoff=0.5)]
    shown = near or list(known)[:8]
    return SettingError(
        what,
        f"unknown {what} {found!r}",
        f"Near ones: {', '.join(shown)}. Write for example {example}",
    )


def cast(speakers: Sequence[str], wanted: Mapping[str, str]) -> dict[str, str]:
    """A voice for each speaker, in order of appearance; the same arguments give the same cast.

    A wish wins (`wanted[""]` holds for everyone not named) and takes its timbre out of the pool. A
    given name in the speaker's label decides between women's and men's voices, otherwise they
    alternate. With more speakers than timbres, timbres repeat.
    """
    chosen: dict[str, str] = {}
    wishes = {name.casefold(): voice for name, voice in wanted.items()}
    for speaker in speakers:
        wish = wishes.get(speaker.casefold(), wishes.get("", ""))
        if wish:
            timbre(wish)
            if asked := accent(wish):
                library_voice(asked)
            chosen[speaker] = wish
    used = [timbre(voice).name for voice in chosen.values()]
    for speaker in dict.fromkeys(speakers):
        if speaker not in chosen:
            picked = _pick(_sex(speaker), used)
            used.append(picked)
            chosen[speaker] = picked
    return {speaker: chosen[speaker] for speaker in dict.fromkeys(speakers)}


def _pick(sex: Sex | None, used: Sequence[str]) -> str:
    """The least used timbre of `sex`; without one, of the sex that has spoken less so far."""
    sexes = {entry.name: entry.sex for entry in TIMBRES}
    counts: dict[Sex, int] = {"male": 0, "female": 0}
    for name in used:
        if name in sexes:
            counts[sexes[name]] += 1
    wanted: Sex = sex or ("male" if counts["male"] <= counts["female"] else "female")
    pool = [entry.name for entry in TIMBRES if entry.sex == wanted]
    return min(pool, key=used.count)


def _sex(speaker: str) -> Sex | None:
    words = set(speaker.casefold().replace(".", " ").split())
    if words & FEMALE_NAMES or words & {"mrs", "ms", "miss"}:
        return "female"
    if words & MALE_NAMES or "mr" in words:
        return "male"
    return None
