"""Speech: every line spoken, remembered line by line, laid out on the episode's one clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import get_args

from models.needs import NEURAL, voice_need_gib
from models.voice import LineSpec, Voice, open_voice
from models.voice.polish import polish
from models.voice.take import Take, check_take
from models.voice.traits import Acquaintance
from studio.audio import write_flac
from studio.errors import EngineUnavailable, SettingError, SpeechError
from studio.keys import code_version, fingerprint
from studio.specs import DeviceSpec, MixSpec, VoiceEngineName, VoiceSpec
from studio.store import Store
from studio.timeline import lay_out
from studio.types import (
    SAMPLE_RATE,
    EngineInfo,
    Fallback,
    Rehearsal,
    Segment,
    SpeechTrack,
    SpokenLine,
)
from tasks.neural import Post, first_that_serves
from tasks.run import Run, secret
from tasks.sharing import share_voice
from tasks.stage import stage

_MADE_BY = ("models.voice", "studio.audio")


@stage(
    "speech",
    tags=("cpu",),
    made_by=(*_MADE_BY, "studio.timeline", "tasks.speech"),
    after=("parse",),
)
def speak(
    rehearsal: Rehearsal, voice: VoiceSpec, mix: MixSpec, seed: int, *, run: Run
) -> SpeechTrack:
    """Speak every line and lay them out. A line that was spoken before is not spoken again."""
    script = rehearsal.script
    wanted = {"": voice.voice, **dict(script.header.voices)}
    engines = {speaker: _engines(wanted, speaker, voice) for speaker in script.speakers}
    spoken: dict[int, SpokenLine] = {}
    fallbacks: list[Fallback] = []
    infos: list[EngineInfo] = []
    for names in dict.fromkeys(engines.values()):
        speakers = [speaker for speaker in script.speakers if engines[speaker] == names]
        segments = [s for s in script.segments if s.speaker in speakers]
        perform = partial(_perform, speakers, segments, wanted, rehearsal, voice, seed, run)
        posts = [_post(name, voice, run) for name in names]
        serve = partial(_or_the_next, names, run.strict, perform)
        (info, made), steps = first_that_serves(run, "speech", posts, serve)
        fallbacks += steps
        infos.append(info)
        spoken |= made
    lines = tuple(spoken[index] for index in range(len(script.segments)))
    starts, num_samples = lay_out(script, [line.num_samples for line in lines], voice, mix)
    return SpeechTrack(
        sample_rate=SAMPLE_RATE,
        num_samples=num_samples,
        lines=lines,
        starts=tuple(starts),
        engines=tuple(infos),
        fallbacks=tuple(fallbacks),
    )


def _perform(
    speakers: Sequence[str],
    segments: Sequence[Segment],
    wanted: Mapping[str, str],
    rehearsal: Rehearsal,
    voice: VoiceSpec,
    seed: int,
    run: Run,
    engine: Voice,
) -> tuple[EngineInfo, dict[int, SpokenLine]]:
    """Cast the speakers of one engine and speak their lines."""
    script = rehearsal.script
    cast = engine.cast(speakers, _names(wanted, speakers, engine.info.name))
    specs = [
        LineSpec(
            text=segment.text,
            voice=cast[segment.speaker],
            language=script.language,
            rate_wpm=voice.rate_wpm,
            pitch_pct=voice.pitch_pct,
            seed=seed,
            lexicon=rehearsal.assets.lexicon,
        )
        for segment in segments
    ]
    total = len(script.segments)
    return engine.info, _speak(engine, segments, specs, voice, run=run, total=total)


def _or_the_next(
    names: Sequence[VoiceEngineName],
    strict: bool,
    perform: Callable[[Voice], tuple[EngineInfo, dict[int, SpokenLine]]],
    engine: Voice,
) -> tuple[EngineInfo, dict[int, SpokenLine]]:
    """What `perform` makes. A line that an engine fails at is a reason to take the next one for all
    its lines: a speaker whose voice changes for a line would be heard.

    Raises `EngineUnavailable` naming the line while an alternative is left, else `SpeechError`.
    """
    try:
        return perform(engine)
    except SpeechError as error:
        if strict or engine.info.name == names[-1]:
            raise
        raise EngineUnavailable(error.where, error.found, error.remedy) from error


def _speak(
    engine: Voice,
    segments: Sequence[Segment],
    specs: Sequence[LineSpec],
    voice: VoiceSpec,
    *,
    run: Run,
    total: int,
) -> dict[int, SpokenLine]:
    """The lines of one engine, from memory where they are known."""
    keys = [
        fingerprint(
            "line",
            code_version(*_MADE_BY),
            engine.info.name,
            engine.info.identity,
            voice.max_takes,
            spec,
            segment.speaker,
            voice.highpass_hz,
            voice.compression_ratio,
        )
        for segment, spec in zip(segments, specs, strict=True)
    ]
    done: dict[int, SpokenLine] = {}
    todo: list[int] = []
    speakers = {segment.speaker: Acquaintance() for segment in segments}
    for place, (segment, key) in enumerate(zip(segments, keys, strict=True)):
        known = run.store.recall(key, SpokenLine)
        if known is None:
            todo.append(place)
        else:
            done[segment.index] = _at(known, segment)
            if known.traits:
                speakers[segment.speaker].hear(known.traits)
    run.report("speech", len(done), total)
    for place, take in _takes(engine, segments, specs, todo, voice, speakers):
        segment = segments[place]
        line = _line(take, segment, specs[place].voice, engine.info.name, voice, run.store)
        done[segment.index] = run.store.remember(keys[place], line)
        run.report("speech", len(done), total)
    return done


def _line(
    take: Take, segment: Segment, name: str, engine: str, voice: VoiceSpec, store: Store
) -> SpokenLine:
    """A take as the episode has it: polished, in a file of the store."""
    polished = polish(take.utterance, voice)
    with store.draft(".flac") as draft:
        write_flac(draft.path, polished.samples)
    return SpokenLine(
        index=segment.index,
        speaker=segment.speaker,
        text=segment.text,
        engine=engine,
        voice=name,
        audio=draft.taken(),
        num_samples=len(polished.samples),
        words=polished.words,
        phonemes=polished.phonemes,
        takes=take.takes,
        rejected=take.rejected,
        traits=take.traits,
    )


def _takes(
    engine: Voice,
    segments: Sequence[Segment],
    specs: Sequence[LineSpec],
    todo: Sequence[int],
    voice: VoiceSpec,
    speakers: Mapping[str, Acquaintance],
) -> Iterator[tuple[int, Take]]:
    """The place and the take of each line, some lines ahead: what is ahead is held in memory."""
    for first in range(0, len(todo), voice.batch):
        places = todo[first : first + voice.batch]
        lines = [specs[place] for place in places]
        for place, said in zip(places, engine.say(lines), strict=True):
            speaker = speakers[segments[place].speaker]
            yield place, check_take(engine, specs[place], said, voice.max_takes, speaker)


def _post(name: VoiceEngineName, voice: VoiceSpec, run: Run) -> Post[Voice]:
    neural = name in NEURAL
    # What the engine does not read, such as the tempo, must not keep two episodes from sharing one.
    told = VoiceSpec(
        engine=(name,),
        model=voice.model,
        weights_dir=voice.weights_dir,
        reference=voice.reference,
        temperature=voice.temperature,
    )
    spec = told if neural else voice
    return Post(
        name=name,
        family="voice",
        spec=(spec, run.commercial),
        open_at=lambda device, _: _open(name, spec, device, commercial=run.commercial),
        neural=neural,
        need_gib=partial(voice_need_gib, name, voice),
        # Lines are spoken one by one, and autocast keeps the weights in full precision beside
        # their half copies: neither a batch nor a precision to save by.
        half=None,
        sharing=share_voice(voice.batch),
    )


@contextmanager
def _open(
    name: VoiceEngineName, voice: VoiceSpec, device: DeviceSpec, *, commercial: bool
) -> Iterator[Voice]:
    cloud = name == "gtts_cloud" and voice.cloud != "google_translate"
    key = secret(voice.cloud) if cloud else ""
    with open_voice(name, voice, device, cloud_key=key) as engine:
        if commercial and not engine.info.commercial:
            found = f"the weights of {name} ({engine.info.weights_licence}) forbid commercial use"
            raise EngineUnavailable("voice", found, "Use espeak_ng, or leave out --commercial")
        yield engine


def _at(line: SpokenLine, segment: Segment) -> SpokenLine:
    """A remembered line at its place in this script: the same words may occur anywhere."""
    return SpokenLine(
        index=segment.index,
        speaker=segment.speaker,
        text=segment.text,
        engine=line.engine,
        voice=line.voice,
        audio=line.audio,
        num_samples=line.num_samples,
        words=line.words,
        phonemes=line.phonemes,
        takes=line.takes,
        rejected=line.rejected,
        traits=line.traits,
    )


def _engines(
    wanted: Mapping[str, str], speaker: str, voice: VoiceSpec
) -> tuple[VoiceEngineName, ...]:
    """The engines to try for a speaker: the one its `Voice:` names first, as `ENGINE:VOICE`."""
    name, colon, _ = wanted.get(speaker, wanted[""]).partition(":")
    if not colon:
        return voice.engine
    for known in get_args(VoiceEngineName):
        if name == known:
            return tuple(dict.fromkeys((known, *voice.engine)))
    raise SettingError(
        f"voice of {speaker or 'the narrator'}",
        f"no engine {name!r}",
        f"Known engines: {', '.join(get_args(VoiceEngineName))}",
    )


def _names(wanted: Mapping[str, str], speakers: Sequence[str], engine: str) -> dict[str, str]:
    """The voices asked of one engine, without its name; those asked of another do not count."""
    names: dict[str, str] = {}
    for speaker in ("", *speakers):
        prefix, colon, rest = wanted.get(speaker, "").partition(":")
        voice = rest if colon else prefix
        if voice and (not colon or prefix == engine):
            names[speaker] = voice
    return names
