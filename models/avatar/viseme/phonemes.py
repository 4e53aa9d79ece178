"""From IPA phonemes to the shapes lips take: 18 visemes, each a target on seven channels.

The classes follow what can be told apart by eye (Fisher, 1968, "Confusions among visually perceived
consonants"): /m b p/ look the same, and so do /f v/, /s z/ or /t d n/. The targets were set by eye
on the drawn hosts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOUTH_CHANNELS = ("open", "wide", "rounded", "press", "tuck", "teeth", "tongue")
"""Channels of a mouth: openness 0..1; corners from -1 (drawn in) to 1 (spread); protrusion 0..1;
lips pressed together 0..1; lower lip under the upper teeth 0..1; upper teeth shown 0..1; tongue
shown 0..1.
"""

VISEMES: dict[str, NDArray[np.float32]] = {
    name: np.array(target, np.float32)
    for name, target in {
        #        open   wide  round press  tuck teeth tongue
        "rest": (0.00, 0.05, 0.00, 0.00, 0.00, 0.00, 0.00),
        "aa": (0.95, 0.10, 0.00, 0.00, 0.00, 0.55, 0.15),
        "ae": (0.75, 0.55, 0.00, 0.00, 0.00, 0.75, 0.15),
        "eh": (0.55, 0.45, 0.00, 0.00, 0.00, 0.70, 0.20),
        "ih": (0.36, 0.60, 0.00, 0.00, 0.00, 0.85, 0.25),
        "ee": (0.30, 0.90, 0.00, 0.00, 0.00, 0.95, 0.20),
        "oh": (0.62, -0.55, 0.70, 0.00, 0.00, 0.15, 0.05),
        "oo": (0.30, -0.90, 1.00, 0.00, 0.00, 0.00, 0.00),
        "er": (0.36, -0.35, 0.45, 0.00, 0.00, 0.40, 0.25),
        "uh": (0.40, 0.05, 0.00, 0.00, 0.00, 0.45, 0.15),
        "mbp": (0.00, 0.00, 0.00, 1.00, 0.00, 0.00, 0.00),
        "fv": (0.12, 0.15, 0.00, 0.00, 1.00, 0.85, 0.00),
        "th": (0.24, 0.20, 0.00, 0.00, 0.00, 0.80, 0.90),
        "tdn": (0.22, 0.25, 0.00, 0.00, 0.00, 0.80, 0.60),
        "l": (0.30, 0.20, 0.00, 0.00, 0.00, 0.65, 0.80),
        "sz": (0.14, 0.50, 0.00, 0.00, 0.00, 1.00, 0.05),
        "sh": (0.20, -0.45, 0.65, 0.00, 0.00, 0.95, 0.00),
        "kg": (0.30, 0.15, 0.00, 0.00, 0.00, 0.50, 0.10),
    }.items()
}

DOMINANCE: dict[str, float] = {
    "mbp": 3.4,
    "fv": 2.2,
    "oo": 1.5,
    "oh": 1.3,
    "sh": 1.3,
    "aa": 1.2,
    "ae": 1.1,
    "ee": 1.1,
    "sz": 1.1,
    "rest": 1.0,
}
"""How strongly a viseme holds its own against its neighbours (Cohen and Massaro, 1993, "Modeling
coarticulation in synthetic visual speech"); 0.9 where nothing is said. Lips that must close or
round win.
"""

_CLASSES = (
    ("ɑaʌɐɒ", "aa"),
    ("æ", "ae"),
    ("ɛeø", "eh"),
    ("ɪᵻyʏɨ", "ih"),
    ("i", "ee"),
    ("ɔoɵɤ", "oh"),
    ("uʊwɯʍ", "oo"),
    ("ɜɚɝɹɻœ", "er"),
    ("əɘɞ", "uh"),
    ("mbpɱβɸ", "mbp"),
    ("fvʋ", "fv"),
    ("θð", "th"),
    ("tdnɾrʔɲʈɖɳ", "tdn"),
    ("lɫʎɭɬ", "l"),
    ("szɕʑ", "sz"),
    ("ʃʒʂʐ", "sh"),
    ("kɡgŋhjxçɣχʁʀqɦħɟc", "kg"),
)
_VISEME_OF = {sign: viseme for signs, viseme in _CLASSES for sign in signs}

_COMPOUNDS = {
    "aɪ": ("aa", "ih"),
    "aʊ": ("aa", "oo"),
    "eɪ": ("eh", "ee"),
    "oʊ": ("oh", "oo"),
    "əʊ": ("oh", "oo"),
    "ɔɪ": ("oh", "ih"),
    "ɔø": ("oh", "ih"),
    "ɪə": ("ih", "uh"),
    "eə": ("eh", "uh"),
    "ʊə": ("oo", "uh"),
    "tʃ": ("sh",),
    "dʒ": ("sh",),
    "ts": ("sz",),
    "dz": ("sz",),
    "pf": ("mbp", "fv"),
}

_MARKS = str.maketrans("", "", "ˈˌːˑ̩̯͡ʲʰ̃.ʼ-'|_: ")


def visemes_of(symbol: str) -> tuple[str, ...]:
    """The visemes of one IPA phoneme, in order; a pause ("") is rest, an unknown sound is a neutral
    vowel.
    """
    bare = symbol.translate(_MARKS)
    if not bare:
        return ("rest",)
    if bare in _COMPOUNDS:
        return _COMPOUNDS[bare]
    found = tuple(_VISEME_OF[sign] for sign in bare if sign in _VISEME_OF)
    return found or ("uh",)
