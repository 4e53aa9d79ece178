"""How often the checks of a spoken line find a fault, and how often they find one in a right line.

    OMP_NUM_THREADS=1 python benchmarks/speech_checks.py [--flite PATH]

Sentences are spoken with words left out, said twice or added, while the whole sentence is expected,
and in the voice of somebody else, by six of the embedded voices and, where the program is at hand,
by four voices of flite. Prints a row per fault: how many were found in takes of a speaker of whom
nothing is known, and of one of whom three right lines were heard.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from models.voice import LineSpec, Utterance
from models.voice.espeak_ng import utter
from models.voice.take import listen
from models.voice.traits import Acquaintance

TEXTS = (
    "Welcome back to the show.",
    "That is a good question, and nobody has a good answer.",
    "The quick brown fox jumps over the lazy dog and runs into the wide forest.",
    "Somewhere tonight, a graphics card that cost more than a car is doing nothing at all.",
    "It is not broken, it is waiting for a file, and nobody has asked it why.",
    "In the first place, the price of memory fell by half within a single year.",
    "My grandmother kept bees behind the house, and every summer she gave us a jar of honey.",
    "Why did nobody notice the leak until the whole street was under water?",
    "We measured the river every morning, and the numbers never agreed with the forecast.",
    "Let us begin with the oldest clock in the city, which has been late for a century.",
    "The train left at seven, the rain began at eight, and by nine the bridge was gone.",
    (
        "Scientists from three countries spent the winter on the ice, drilling down to layers that "
        "fell as snow before the pyramids were built."
    ),
    "Thank you for listening, and see you next week.",
    "She opened the letter, read it twice, and put it into the fire without a word.",
    (
        "Every machine in the factory stopped at the same moment, and for the first time in forty "
        "years you could hear the birds."
    ),
    "A bridge is only as strong as the ground that it stands on, and the ground had moved.",
)
EMBEDDED = ("bass", "soprano", "baritone", "contralto", "countertenor", "mezzo")
FLITE = ("kal16", "awb", "rms", "slt")
STRANGERS = {"bass": "mezzo", "soprano": "baritone", "baritone": "contralto", "mezzo": "bass",
             "contralto": "countertenor", "countertenor": "soprano",
             "kal16": "slt", "awb": "rms", "rms": "kal16", "slt": "awb"}  # fmt: skip
"""Who speaks where the voice has changed."""

Speak = Callable[[str, str], Utterance]


def faulty(text: str, rng: random.Random) -> Iterator[tuple[str, str]]:
    """What is wrong, and what is said instead of `text`."""
    words = text.split()
    at = rng.choice([n for n in range(1, len(words) - 1) if len(words[n].strip(",.?")) >= 4])
    yield "one long word left out", " ".join(words[:at] + words[at + 1 :])
    yield "one long word said twice", " ".join(words[: at + 1] + words[at:])
    for name, share in (("a fifth", 0.2), ("a third", 0.35)):
        count = max(round(share * len(words)), 1)
        at = rng.randrange(1, len(words) - count)
        yield f"{name} left out", " ".join(words[:at] + words[at + count :])
        yield f"{name} said twice", " ".join(words[: at + count] + words[at:])
    count = max(round(0.35 * len(words)), 1)
    yield "the end left out", " ".join(words[:-count])
    yield "the beginning left out", " ".join(words[count:])
    yield "the end said twice", " ".join([*words, *words[-count:]])
    yield "babble at the end", f"{text} The green ones went over there again."


def embedded(text: str, voice: str) -> Utterance:
    """By the embedded voice."""
    return utter(LineSpec(text=text, voice=voice))


def by_flite(program: str) -> Speak:
    """By the program flite."""

    def speak(text: str, voice: str) -> Utterance:
        with tempfile.TemporaryDirectory() as folder:
            wave = Path(folder, "said.wav")
            command = [program, "-voice", voice, "-t", text, "-o", str(wave)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            samples, rate = soundfile.read(wave, dtype="float32")
        mono = np.asarray(samples, np.float32).reshape(-1)
        return Utterance(samples=mono, sample_rate=rate, words=(), phonemes=())

    return speak


def measure(speak: Speak, voices: tuple[str, ...]) -> dict[str, tuple[int, int, int]]:
    """By fault: takes, how many were found in a stranger's, how many in a known speaker's."""
    found: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    for voice in voices:
        known = Acquaintance()
        for text in ("The harbour was empty when the last boat came in.", *TEXTS[1:3]):
            heard = listen(LineSpec(text=text), speak(text, voice), Acquaintance())
            if heard.traits:
                known.hear(heard.traits)
        for place, text in enumerate(TEXTS):
            said = [("nothing", speak(text, voice))]
            chance = random.Random(place)  # noqa: S311 - which words are left out is no secret
            said += [(name, speak(words, voice)) for name, words in faulty(text, chance)]
            said.append(("another voice", speak(text, STRANGERS[voice])))
            for name, take in said:
                line = LineSpec(text=text)
                faults = (listen(line, take, speaker).fault for speaker in (Acquaintance(), known))
                strange, familiar = map(bool, faults)
                found[name].append((strange, familiar))
    return {
        name: (len(takes), sum(a for a, _ in takes), sum(b for _, b in takes))
        for name, takes in found.items()
    }


def main() -> None:
    """Measure both synthesisers."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--flite", default=shutil.which("flite") or "")
    told = parser.parse_args()
    rows: dict[str, list[str]] = defaultdict(list)
    heads = ["embedded voices"]
    for name, figures in measure(embedded, EMBEDDED).items():
        rows[name] += _cells(figures)
    if told.flite:
        heads.append("flite")
        for name, figures in measure(by_flite(told.flite), FLITE).items():
            rows[name] += _cells(figures)
    columns = [f"{head}, {who}" for head in heads for who in ("first line", "speaker known")]
    print(f"| what is wrong | {' | '.join(columns)} |")
    print("|---" * (len(columns) + 1) + "|")
    for name, cells in rows.items():
        print(f"| {name} | {' | '.join(cells)} |")


def _cells(figures: tuple[int, int, int]) -> list[str]:
    total, strange, familiar = figures
    return [f"{found} of {total} ({100 * found / total:.0f} %)" for found in (strange, familiar)]


if __name__ == "__main__":
    main()
