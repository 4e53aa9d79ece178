"""The words that people use of music, and what they ask for.

Keys are lower case, single spaced; phrases of several words are matched before their parts. A word
may ask for several things: "lullaby" is a mood and an instrument.
"""

from __future__ import annotations

from collections.abc import Mapping


def _invert(groups: Mapping[str, str]) -> dict[str, str]:
    return {
        " ".join(word.split()): meaning
        for meaning, words in groups.items()
        for word in words.split(",")
    }


MOOD_WORDS = _invert(
    {
        "calm": """
            calm, calming, church, hymn, soft, softly, peaceful, relaxed, relaxing, chill,
            chilled, mellow, quiet,
            serene, tranquil, gentle, meditative, meditation, soothing, easy, lullaby, slow and
            steady, zen, sleep, sleepy
        """,
        "warm": """
            warm, christmas, holiday, warmer, cosy, cozy, friendly, heartfelt, hopeful, tender,
            inviting, intimate,
            homely, nostalgic, romantic, reassuring, welcoming, optimistic, grateful, sunny, laid
            back, positive
        """,
        "sad": """
            sad, melancholic, melancholy, somber, sombre, sorrowful, mournful, lonely, wistful,
            grief, heartbreaking, emotional, bittersweet, blue, reflective, pensive, poignant,
            farewell
        """,
        "happy": """
            happy, upbeat, cheerful, joyful, joyous, energetic, energising, energizing, fun, party,
            celebratory, celebration, exciting, feelgood, feel good, summer, uplifting, lively,
            bouncy, motivational
        """,
        "playful": """
            playful, quirky, curious, whimsical, comic, comedy, funny, cheeky, light hearted,
            lighthearted, cartoon, cute, kids, children, mischievous, sneaky
        """,
        "tense": """
            tense, suspense, suspenseful, mystery, mysterious, anxious, thriller, nervous, crime,
            investigative, intrigue, uneasy, danger, urgent, noir
        """,
        "dark": """
            dark, ominous, brooding, eerie, haunting, horror, scary, sinister, gloomy, creepy,
            night, bleak
        """,
        "epic": """
            epic, fanfare, brass fanfare, heroic, triumphant, grand, majestic, powerful, dramatic,
            soaring, victorious,
            inspiring, inspirational, anthem, trailer, battle, adventure, adventurous
        """,
        "dreamy": """
            dreamy, dream, ethereal, floating, spacey, space, cosmic, magical, magic, heavenly,
            airy, hypnotic, atmospheric, underwater, shimmering, surreal
        """,
        "serious": """
            serious, news, professional, corporate, confident, informative, documentary, business,
            neutral, focused, determined, technology, tech, science, scientific, futuristic, modern,
            innovative
        """,
    }
)

GENRE_WORDS = _invert(
    {
        "ambient": """
            ambient, drone, soundscape, atmospheric, meditation, meditative, new age, spa, texture,
            ethereal
        """,
        "lofi": """
            lofi, lo fi, lo-fi, chillhop, hip hop, hip-hop, hiphop, study beats, chill beats, trip
            hop, downtempo, lofi drums, lofi beat, lo-fi beat, lo fi beat, hip hop beat, hip-hop
            beat, boom bap
        """,
        "acoustic": """
            acoustic, acoustic guitar, nylon guitar, unplugged, singer songwriter, campfire,
            fingerpicked, fingerpicking, strummed, ukulele, indie
        """,
        "pop": """
            pop, funk, funky, disco, commercial, advertising, corporate, motivational, rock, reggae,
            soul
        """,
        "electronic": """
            electronic, electronica, electronic beat, electronic drums, drum machine, synthwave,
            synth wave, techno, house, edm, dance, retro, 80s, eighties, arcade, chiptune,
            futuristic, cyberpunk, tech, technology, idm, trance, pulse, pulsing, synthpop
        """,
        "cinematic": """
            cinematic, fanfare, brass fanfare, orchestral, orchestra, film, filmic, soundtrack,
            score, trailer, epic,
            symphonic, movie, documentary, heroic, dramatic, thriller
        """,
        "jazz": """
            jazz, jazzy, swing, bossa, bossa nova, lounge, bebop, smooth jazz, cafe, café, blues,
            bluesy, noir, jazz drums
        """,
        "classical": """
            classical, church, church organ, hymn, baroque, chamber, sonata, nocturne, waltz,
            romantic, lullaby, etude,
            minimalist, neoclassical, solo piano
        """,
        "news": """
            news, newsroom, headline, headlines, bulletin, broadcast, breaking, report
        """,
        "folk": """
            folk, country, celtic, bluegrass, americana, western, irish, medieval, traditional
        """,
    }
)

INSTRUMENT_WORDS = _invert(
    {
        "piano": """
            piano, pianos, keys, keyboard, grand piano, upright piano, felt piano
        """,
        "electric_piano": """
            electric piano, rhodes, wurlitzer, wurli, e-piano, epiano, fender rhodes, electric keys
        """,
        "guitar": """
            guitar, guitars, acoustic guitar, nylon guitar, nylon, ukulele, banjo, mandolin,
            strummed, fingerpicked, fingerpicking, lute
        """,
        "harp": """
            harp, harps, koto, kalimba harp, zither, lyre, plucks, pluck, plucked, pizzicato
        """,
        "bell": """
            bell, bells, celesta, music box, glockenspiel, chime, chimes, glassy, twinkling,
            twinkle, lullaby
        """,
        "vibraphone": """
            vibraphone, vibes
        """,
        "marimba": """
            marimba, marimbas, kalimba, xylophone, mallet, mallets, thumb piano, percussive melody
        """,
        "organ": """
            organ, hammond, church organ, pipe organ
        """,
        "accordion": """
            accordion, harmonica, concertina, melodica
        """,
        "strings": """
            strings, string, violin, violins, viola, cello, cellos, string quartet, orchestra,
            orchestral, symphonic, chamber
        """,
        "pad": """
            pad, pads, synth pad, drone, texture, soundscape, synths
        """,
        "choir": """
            choir, choral, voices, vocal pad, ahs, oohs, chant
        """,
        "pulse": """
            synth, synthesizer, synthesiser, synth pulse, pulse, pulsing, arpeggio, arpeggiated,
            arpeggiator, sequencer, chiptune, analog, analogue, light synth pulse, synthwave
        """,
        "horns": """
            brass, brass fanfare, horn, horns, french horn, french horns, trumpet, trombone, fanfare
        """,
        "flute": """
            flute, flutes, whistle, whistling, woodwind, woodwinds, clarinet, recorder, pan flute
        """,
    }
)

BASS_WORDS = _invert(
    {
        "round": """
            bass, bass guitar, electric bass, fretless
        """,
        "upright": """
            upright bass, double bass, contrabass, walking bass
        """,
        "synth": """
            synth bass, bassline, bass line
        """,
        "sub": """
            sub bass, sub, 808
        """,
    }
)

KIT_WORDS = _invert(
    {
        "pop": """
            drums, drum, drum kit, beat, beats, percussion, rhythm section, backbeat, drumming,
            groove, groovy
        """,
        "lofi": """
            lofi drums, lofi beat, lo-fi beat, lo fi beat, hip hop beat, hip-hop beat, boom bap,
            soft drums, dusty drums, soft beat, gentle beat, light drums
        """,
        "electronic": """
            drum machine, electronic drums, four on the floor, electronic beat, techno, house, edm,
            dance, dance beat
        """,
        "brush": """
            brushes, brush, brushed, brushed drums, jazz drums, brush drums
        """,
        "shaker": """
            shaker, shakers, tambourine, bongos, light percussion, soft percussion, maracas, congas
        """,
        "cinematic": """
            cinematic drums, taiko, timpani, toms, epic drums, war drums, cinematic percussion,
            marching, orchestral percussion
        """,
    }
)

TEMPO_WORDS: Mapping[str, tuple[int, int]] = {
    # Italian tempo marks with the usual metronome ranges; English words set around them.
    "largo": (48, 60), "lento": (52, 62), "adagio": (60, 72), "andante": (74, 96),
    "moderato": (98, 112), "allegretto": (108, 118), "allegro": (120, 138), "vivace": (136, 152),
    "presto": (152, 168), "very slow": (50, 60), "slow": (58, 72), "slower": (58, 70),
    "unhurried": (66, 78), "midtempo": (92, 106), "mid tempo": (92, 106), "mid-tempo": (92, 106),
    "medium tempo": (92, 106), "steady": (88, 100), "uptempo": (118, 132), "up tempo": (118, 132),
    "up-tempo": (118, 132), "fast": (124, 140), "faster": (124, 140), "very fast": (144, 160),
    "quick": (118, 132), "driving": (112, 126), "upbeat": (106, 122), "brisk": (112, 124),
    "hectic": (140, 156), "galloping": (126, 140),
}  # fmt: skip

ENERGY_WORDS: Mapping[str, float] = {
    # Added to the mood's energy (and, halved, to its density).
    "soft": -0.15, "softly": -0.15, "gentle": -0.15, "light": -0.08, "subtle": -0.2, "quiet": -0.15,
    "minimal": -0.2, "minimalist": -0.15, "delicate": -0.2, "understated": -0.15, "sparse": -0.2,
    "simple": -0.1, "intimate": -0.1, "driving": 0.25, "energetic": 0.3, "bold": 0.2,
    "punchy": 0.25,
    "powerful": 0.3, "big": 0.2, "intense": 0.3, "full": 0.15, "strong": 0.2, "lively": 0.2,
    "upbeat": 0.2, "exciting": 0.25, "dynamic": 0.15, "pumping": 0.3, "massive": 0.35,
    "rousing": 0.25,
}  # fmt: skip

DENSITY_WORDS: Mapping[str, float] = {
    "sparse": -0.3, "minimal": -0.25, "minimalist": -0.2, "simple": -0.15, "spacious": -0.2,
    "empty": -0.3, "slow": -0.1, "busy": 0.3, "flowing": 0.2, "rolling": 0.2, "rippling": 0.25,
    "intricate": 0.3, "arpeggiated": 0.25, "lush": 0.15, "rich": 0.1, "drone": -0.35,
    "virtuosic": 0.35,
}  # fmt: skip

BRIGHTNESS_WORDS: Mapping[str, float] = {
    "bright": 0.35, "brighter": 0.35, "brilliant": 0.35, "sparkling": 0.4, "shimmering": 0.3,
    "crisp": 0.25, "glassy": 0.3, "sunny": 0.2, "light": 0.1, "warm": -0.12, "warmer": -0.15,
    "dark": -0.35, "muted": -0.35, "mellow": -0.25, "muffled": -0.4, "felt": -0.3, "deep": -0.25,
    "low": -0.2, "dusty": -0.3, "soft": -0.12, "lofi": -0.25, "lo fi": -0.25, "lo-fi": -0.25,
    "night": -0.15,
}  # fmt: skip

MODE_WORDS: Mapping[str, str] = {
    "major": "ionian", "major key": "ionian", "ionian": "ionian", "minor": "aeolian",
    "minor key": "aeolian", "aeolian": "aeolian", "dorian": "dorian", "lydian": "lydian",
    "mixolydian": "mixolydian", "harmonic minor": "harmonic_minor",
}  # fmt: skip

ROOM_WORDS: Mapping[str, str] = {
    "dry": "small", "close": "small", "intimate": "small", "small room": "small", "hall": "hall",
    "concert hall": "hall", "reverb": "hall", "spacious": "space", "cathedral": "space",
    "huge": "space", "space": "space", "echo": "space", "washed": "space", "ethereal": "space",
}  # fmt: skip

BED_WORDS = frozenset({"underlay", "underscore", "bed", "background", "under", "beneath", "behind"})
"""The music lies under a voice: it makes room between 1 and 4 kHz."""

FEATURE_WORDS = frozenset(
    {"intro", "outro", "sting", "stinger", "jingle", "theme", "bumper", "opener", "transition",
     "interlude", "ident", "logo", "fanfare", "title", "titles", "break"}
)  # fmt: skip
"""The music is heard by itself: it begins with all its parts and keeps its full spectrum."""

GESTURE_WORDS = frozenset({"sting", "stinger", "ident", "logo", "hit", "bumper", "swell"})
"""One short gesture rather than bars of music."""

NEGATIONS = frozenset({"no", "without", "not", "minus", "sans", "never"})
