"""Voices in the cloud behind one door: Google Translate without a key, ElevenLabs and Azure with
one.

Each service is a function that turns a line into requests. Their answers are decoded in memory,
joined, brought to the asked tempo and pitch where the service does not do it, and aligned with the
embedded voice for the times of words and phonemes. A line is whole or an error.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape, quoteattr

import av
import numpy as np
from numpy.typing import NDArray

from models.voice import LineSpec, Utterance
from models.voice.align import align
from models.voice.cloud_http import Patience, Request, fetch
from models.voice.espeak_ng import silent_line
from models.voice.parts import split_text
from models.voice.reading import read
from models.voice.retime import pitch_factor, retime, tempo_factor
from studio.audio import resample
from studio.errors import EngineUnavailable, SettingError, SpeechError
from studio.specs import CloudName, VoiceSpec
from studio.types import EngineInfo

SAMPLE_RATE_HZ = 24_000
"""What all of these services speak at."""

LONGEST_GOOGLE_QUERY = 180
"""Characters that the service of Google Translate accepts; it refuses more than 200."""

GOOGLE_VOICES = {"plain": 0.0, "low": -3.0, "high": 2.0, "lower": -4.5, "higher": 3.5}
"""Google Translate has one voice a language: others are made of it, by semitones."""

AZURE_VOICES = (
    "en-US-AndrewNeural",
    "en-US-AvaNeural",
    "en-US-BrianNeural",
    "en-US-EmmaNeural",
    "en-GB-RyanNeural",
    "en-GB-SoniaNeural",
)
ELEVENLABS_VOICES = (
    "pNInz6obpgDQGcFmaJgB",
    "21m00Tcm4TlvDq8ikWAM",
    "ErXwobaYiN019PkySvjV",
    "EXAVITQu4vr4xnSDxMaL",
)
"""The services' stock voices, men's and women's by turns; any other identifier may be asked for."""

ELEVENLABS_MODEL = "eleven_multilingual_v2"

SSML_NAMESPACE = "http://www.w3.org/2001/10/synthesis"

JOIN_S = 0.12
"""Between the parts of a line that is sent in several requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Service:
    """One provider: its requests for a line, its voices, and what it does about tempo and pitch."""

    requests: Callable[[LineSpec, str], list[Request]]
    voices: tuple[str, ...]
    open_ended: bool
    sets_prosody: bool
    info: EngineInfo


class CloudVoice:
    """A service that speaks; see the module."""

    def __init__(self, spec: VoiceSpec, key: str = "", patience: Patience | None = None) -> None:
        """`key` is the service's secret, given by the caller; Google Translate needs none.

        Raises `EngineUnavailable` when a service that needs a key has none.
        """
        self._service = _service(spec, key)
        self._patience = patience or Patience()
        self.info = self._service.info

    def cast(self, speakers: Sequence[str], wanted: Mapping[str, str]) -> dict[str, str]:
        """The service's voices by turns; a wish wins. See `models.voice.Voice.cast`."""
        wishes = {speaker: wanted.get(speaker, wanted.get("", "")) for speaker in speakers}
        for wish in wishes.values():
            if wish and not self._service.open_ended and wish not in self._service.voices:
                known = ", ".join(self._service.voices)
                raise SettingError("voice", f"unknown voice {wish!r}", f"Known ones: {known}")
        used = [wish for wish in wishes.values() if wish]
        chosen: dict[str, str] = {}
        for speaker, wish in wishes.items():
            chosen[speaker] = wish or min(self._service.voices, key=used.count)
            if not wish:
                used.append(chosen[speaker])
        return chosen

    def say(self, lines: Sequence[LineSpec]) -> Iterator[Utterance]:
        """Speak `lines` one by one; see `models.voice.Voice.say` and `cloud_http.fetch`."""
        for line in lines:
            yield self._utter(line)

    def _utter(self, line: LineSpec) -> Utterance:
        reading = read(line.text, line.language, line.lexicon, phonemes=False)
        if not reading.pieces:
            raise silent_line(line.text)
        parts: list[NDArray[np.float32]] = []
        for request in self._service.requests(line, reading.text):
            answer = fetch(request, self.info.name, self._patience)
            if parts:
                parts.append(np.zeros(round(JOIN_S * SAMPLE_RATE_HZ), np.float32))
            parts.append(decode(answer, line.text))
        samples = np.concatenate(parts)
        if not self._service.sets_prosody:
            shift = GOOGLE_VOICES.get(line.voice, 0.0)
            pitch = pitch_factor(line.pitch_pct, shift)
            samples = retime(samples, SAMPLE_RATE_HZ, tempo_factor(line.rate_wpm), pitch)
        times = align(line, samples, SAMPLE_RATE_HZ)
        return Utterance(
            samples=samples,
            sample_rate=SAMPLE_RATE_HZ,
            words=times.words,
            phonemes=times.phonemes,
        )


def decode(answer: bytes, text: str) -> NDArray[np.float32]:
    """The mono sound of an answer (MP3, WAV, ...) at `SAMPLE_RATE_HZ`.

    Raises `SpeechError` when it holds none: services answer with pages of text when in trouble.
    """
    try:
        with av.open(io.BytesIO(answer), "r") as container:
            stream = container.streams.audio[0]
            frames = [frame.to_ndarray() for frame in _mono(container.decode(stream))]
            rate = stream.rate
    except (av.FFmpegError, IndexError) as error:
        raise SpeechError(
            f'line "{text[:60]}"', "the service's answer is no sound", "Try again later"
        ) from error
    if not frames:
        raise SpeechError(f'line "{text[:60]}"', "the service sent silence", "Try again later")
    sound = np.concatenate(frames, axis=1).reshape(-1).astype(np.float32, copy=False)
    return resample(sound, rate, SAMPLE_RATE_HZ)


def _mono(frames: Iterator[av.AudioFrame]) -> Iterator[av.AudioFrame]:
    converter = av.AudioResampler("flt", "mono")
    for frame in frames:
        yield from converter.resample(frame)
    yield from converter.resample(None)


def _service(spec: VoiceSpec, key: str) -> _Service:
    name: CloudName = spec.cloud
    if name != "google_translate" and not key:
        raise EngineUnavailable(
            f"voice {name}", "no key", f"Set {name.upper()}_API_KEY, or choose another engine"
        )
    match name:
        case "google_translate":
            base = spec.endpoint or "https://translate.google.com"
            return _Service(
                requests=lambda line, text: _google(base, line, text),
                voices=tuple(GOOGLE_VOICES),
                open_ended=False,
                sets_prosody=False,
                info=_info(
                    spec, "Google's terms of service; no agreement for this use", commercial=False
                ),
            )
        case "elevenlabs":
            base = spec.endpoint or "https://api.elevenlabs.io"
            return _Service(
                requests=lambda line, text: [_elevenlabs(base, key, spec, line, text)],
                voices=ELEVENLABS_VOICES,
                open_ended=True,
                sets_prosody=False,
                info=_info(
                    spec, "ElevenLabs' terms; commercial use with a paid plan", commercial=True
                ),
            )
        case "azure":
            base = spec.endpoint or "https://eastus.tts.speech.microsoft.com"
            return _Service(
                requests=lambda line, text: [_azure(base, key, line, text)],
                voices=AZURE_VOICES,
                open_ended=True,
                sets_prosody=True,
                info=_info(spec, "Microsoft Azure's terms of service", commercial=True),
            )
        case _:
            assert_never(name)


def _info(spec: VoiceSpec, terms: str, *, commercial: bool) -> EngineInfo:
    return EngineInfo(
        name="gtts_cloud",
        code_licence="Apache-2.0",
        weights_licence=terms,
        commercial=commercial,
        memory_gib=0.05,
        rate=SAMPLE_RATE_HZ,
        identity=f"{spec.cloud}:{spec.model}",
    )


def _google(base: str, line: LineSpec, text: str) -> list[Request]:
    language = line.language.replace("_", "-").split("-")[0]
    return [
        Request(
            url=f"{base}/translate_tts?"
            + urlencode({"ie": "UTF-8", "client": "tw-ob", "tl": language, "q": part}),
            headers={"User-Agent": "Mozilla/5.0", "Referer": "https://translate.google.com/"},
        )
        for part in split_text(text, LONGEST_GOOGLE_QUERY)
    ]


def _elevenlabs(base: str, key: str, spec: VoiceSpec, line: LineSpec, text: str) -> Request:
    body = {
        "text": text,
        "model_id": spec.model or ELEVENLABS_MODEL,
        "seed": line.seed % 2**32,
    }
    return Request(
        url=f"{base}/v1/text-to-speech/{quote(line.voice or ELEVENLABS_VOICES[0], safe='')}"
        "?output_format=mp3_44100_128",
        headers={"xi-api-key": key, "Content-Type": "application/json", "Accept": "audio/mpeg"},
        body=json.dumps(body).encode(),
    )


def _azure(base: str, key: str, line: LineSpec, text: str) -> Request:
    rate_pct = round((tempo_factor(line.rate_wpm) - 1.0) * 100)
    pitch_pct = round((pitch_factor(line.pitch_pct) - 1.0) * 100)
    voice = line.voice or AZURE_VOICES[0]
    language = "-".join(voice.split("-")[:2])
    ssml = (
        f'<speak version="1.0" xmlns="{SSML_NAMESPACE}" xml:lang={quoteattr(language)}>'
        f"<voice name={quoteattr(voice)}>"
        f'<prosody rate="{rate_pct:+d}%" pitch="{pitch_pct:+d}%">{escape(text)}</prosody>'
        "</voice></speak>"
    )
    return Request(
        url=f"{base}/cognitiveservices/v1",
        headers={
            "Ocp-Apim-Subscription-Key": key,
            "Content-Type": "application/ssml+xml",
            "X-Microsoft-OutputFormat": "riff-24khz-16bit-mono-pcm",
            "User-Agent": "podcast-studio",
        },
        body=ssml.encode(),
    )
