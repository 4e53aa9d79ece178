"""A loaded model of Coqui TTS: what it can say, in which voices and languages, and saying it."""

from __future__ import annotations

import json
import pickle
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.voice import LineSpec
from models.voice.coqui_weights import Checkpoint, read_config
from models.voice.durations import Symbol
from models.voice.parts import split_text
from models.voice.reference import read_reference
from models.voice.retime import retime, tempo_factor
from studio.errors import EngineUnavailable, SettingError
from studio.specs import DeviceSpec, VoiceSpec

Samples = NDArray[np.float32]

LONGEST_PART = 220
"""Characters that XTTS speaks at once: its own limits are 166 to 273 by language, beyond which it
drops words."""

CLONE = "reference"
"""The voice of `VoiceSpec.reference`."""

JOIN_S = 0.15


class CoquiModel:
    """A checkpoint in memory. Raises as `models.voice.coqui_tts.open_coqui` says."""

    def __init__(self, checkpoint: Checkpoint, spec: VoiceSpec, device: DeviceSpec) -> None:
        self._spec, self._dtype = spec, device.dtype
        self._where = torch_device(device)
        self._synthesizer: Any = _load(checkpoint, self._where)
        self._latents: dict[str, tuple[Any, Any]] = {}
        self.kind = str(self._synthesizer.tts_config.model)
        self.sample_rate = int(self._synthesizer.output_sample_rate)
        if spec.reference:
            self.clone(spec.reference)
        if device.compile:
            self._compile()
        self._answer_in_single_precision()

    @property
    def weights_gib(self) -> float:
        """Memory of the parameters."""
        parameters = self._synthesizer.tts_model.parameters()
        return float(sum(one.numel() * one.element_size() for one in parameters)) / 2**30

    @property
    def voices(self) -> tuple[str, ...]:
        """The model's speakers by name; empty for a model with one."""
        speakers = getattr(self._synthesizer.tts_model, "speaker_manager", None)
        names = sorted(map(str, speakers.speaker_names)) if speakers is not None else []
        return tuple(names if len(names) > 1 or self.kind == "xtts" else [])

    def languages(self) -> list[str]:
        """The model's own codes; one for a model that takes none."""
        model = self._synthesizer.tts_model
        if self.kind == "xtts":
            return [str(code) for code in self._synthesizer.tts_config.languages]
        spoken = getattr(model, "language_manager", None)
        names = [str(name) for name in spoken.language_names] if spoken is not None else []
        return names or ["en-us"]

    def _language(self, line: LineSpec) -> str | None:
        """The model's own code for a line's language; None for a model that is not told."""
        known = self.languages()
        if len(known) == 1:
            return known[0] if self.kind == "xtts" else None
        tag = line.language.replace("_", "-").casefold()
        primary = tag.split("-")[0]
        for code in (tag, primary, {"zh": "zh-cn", "pt": "pt-br"}.get(primary, "")):
            for name in known:
                if name.casefold() == code:
                    return name
        raise SettingError(
            "language",
            f"the model does not speak {line.language!r}",
            f"It speaks {', '.join(known)}",
        )

    def clone(self, recording: str) -> None:
        """Make and keep the latents of a recording's voice."""
        if self.kind != "xtts":
            raise SettingError(
                "voice.reference", f"{self.kind} does not clone", "Choose an XTTS model"
            )
        if recording in self._latents:
            return
        import torch

        reference = read_reference(Path(recording))
        model, config = self._synthesizer.tts_model, self._synthesizer.tts_config
        audio = torch.from_numpy(reference.samples).unsqueeze(0).to(self._where)
        audio = audio[:, : reference.sample_rate * config.max_ref_len]
        self._latents[recording] = (
            model.get_gpt_cond_latents(
                audio,
                reference.sample_rate,
                length=config.gpt_cond_len,
                chunk_length=config.gpt_cond_chunk_len,
            ),
            model.get_speaker_embedding(audio, reference.sample_rate),
        )

    def speak(
        self, lines: Sequence[tuple[LineSpec, str]]
    ) -> Iterator[tuple[Samples, list[Symbol]]]:
        """For each line and its text, in order: the samples, and the model's symbols with their
        lengths where it has them. VITS speaks the lines in one pass, other models one by one.
        """
        if self.kind == "vits":
            with self._precision():
                spoken = self._vits(lines)
            yield from spoken
            return
        for line, text in lines:
            with self._precision():
                samples = self._sampled(line, text)
            yield samples, []

    @contextmanager
    def _precision(self) -> Iterator[None]:
        import torch

        dtypes = {"fp16": torch.float16, "bf16": torch.bfloat16}
        dtype = dtypes.get(self._dtype)
        cast = torch.autocast(self._where, dtype=dtype) if dtype else nullcontext()
        with torch.inference_mode(), cast:
            yield

    def _sampled(self, line: LineSpec, text: str) -> Samples:
        """A line of a model that draws from the library's own random numbers."""
        import torch

        cards = [torch.cuda.current_device()] if self._where == "cuda" else []
        with torch.random.fork_rng(devices=cards):
            torch.manual_seed(line.seed)
            return self._xtts(line, text) if self.kind == "xtts" else self._other(line, text)

    def _vits(self, lines: Sequence[tuple[LineSpec, str]]) -> list[tuple[Samples, list[Symbol]]]:
        from models.voice.vits_batch import VitsLine, speak_together, symbols_of

        model = self._synthesizer.tts_model
        if self._spec.temperature is not None:
            model.inference_noise_scale = self._spec.temperature
        told = []
        for line, text in lines:
            language = self._language(line)
            named = model.language_manager.language_names
            if language is None and len(named) == 1:
                language = named[0]
            speaker, vector = model._get_speaker_id_or_dvector(line.voice or None)
            told.append(
                VitsLine(
                    tokens=tuple(model.tokenizer.text_to_ids(text, language=language)),
                    speaker_id=speaker,
                    d_vector=vector,
                    language_id=model._get_language_id(language),
                    seed=line.seed,
                    length_scale=model.args.length_scale / tempo_factor(line.rate_wpm),
                )
            )
        return [
            (speech.samples, symbols_of(model, line, speech))
            for line, speech in zip(told, speak_together(model, told), strict=True)
        ]

    def _xtts(self, line: LineSpec, text: str) -> Samples:
        model = self._synthesizer.tts_model
        latents, speaker = self._voice_latents(line.voice)
        config = self._synthesizer.tts_config
        parts: list[Samples] = []
        for part in split_text(text, LONGEST_PART):
            made = model.inference(
                part,
                self._language(line),
                latents,
                speaker,
                temperature=self._spec.temperature or config.temperature,
                length_penalty=config.length_penalty,
                repetition_penalty=float(config.repetition_penalty),
                top_k=config.top_k,
                top_p=config.top_p,
                speed=tempo_factor(line.rate_wpm),
            )
            if parts:
                parts.append(np.zeros(round(JOIN_S * self.sample_rate), np.float32))
            parts.append(np.asarray(made["wav"], np.float32).reshape(-1))
        return np.concatenate(parts)

    def _other(self, line: LineSpec, text: str) -> Samples:
        made = self._synthesizer.tts(
            text, line.voice or None, self._language(line), split_sentences=False
        )
        samples = np.asarray(made, np.float32).reshape(-1)
        return retime(samples, self.sample_rate, tempo_factor(line.rate_wpm), 1.0)

    def _voice_latents(self, voice: str) -> tuple[Any, Any]:
        name = self._spec.reference if voice in {"", CLONE} and self._spec.reference else voice
        if name in self._latents:
            return self._latents[name]
        if not name and self.voices:
            name = self.voices[0]
        if name in self.voices:
            entry = self._synthesizer.tts_model.speaker_manager.speakers[name]
            return entry["gpt_cond_latent"], entry["speaker_embedding"]
        self.clone(name)
        return self._latents[name]

    def _answer_in_single_precision(self) -> None:
        """The library hands samples to NumPy, which has no bfloat16."""
        model = self._synthesizer.tts_model
        parts = {"vits": ("waveform_decoder",), "xtts": ("gpt", "hifigan_decoder")}
        for name in parts.get(self.kind, ()):
            getattr(model, name).register_forward_hook(lambda _module, _given, made: made.float())

    def close(self) -> None:
        """Drop the model and what was made of it, and give a card's memory back."""
        import gc

        import torch

        self._synthesizer = None
        self._latents.clear()
        gc.collect()
        if self._where == "cuda":
            torch.cuda.empty_cache()

    def _compile(self) -> None:
        """Compile the part that makes the waveform, where most of the time goes."""
        import torch

        model = self._synthesizer.tts_model
        if self.kind == "vits":
            model.waveform_decoder = torch.compile(model.waveform_decoder, dynamic=True)
        elif self.kind == "xtts":
            decoder = model.hifigan_decoder
            decoder.waveform_decoder = torch.compile(decoder.waveform_decoder, dynamic=True)
        else:
            raise EngineUnavailable(
                "device.compile", f"{self.kind} is not compiled", "Set compile = false"
            )


def torch_device(device: DeviceSpec) -> str:
    """`cuda` or `cpu`. Raises `EngineUnavailable` when a card is asked for and there is none."""
    import torch

    if device.device == "cuda" and not torch.cuda.is_available():
        raise EngineUnavailable(
            "device", "no CUDA card that PyTorch can use", "Set device = auto or cpu"
        )
    return "cuda" if device.device != "cpu" and torch.cuda.is_available() else "cpu"


def _load(checkpoint: Checkpoint, where: str) -> Any:
    """The library's synthesizer with the checkpoint's weights (never pickled code: PyTorch's
    `weights_only` is the library's default).
    """
    from TTS.utils.synthesizer import Synthesizer

    config = read_config(checkpoint.config)
    folder = config.get("model") == "xtts"
    try:
        with tempfile.TemporaryDirectory(prefix="coqui-") as scratch:
            moved = Path(scratch) / "config.json"
            moved.write_text(json.dumps(config), encoding="utf-8")
            vocoder, vocoder_config = checkpoint.vocoder or (None, None)
            return Synthesizer(
                tts_checkpoint=checkpoint.model.parent if folder else checkpoint.model,
                tts_config_path=moved,
                vocoder_checkpoint=vocoder,
                vocoder_config=vocoder_config,
                use_cuda=where == "cuda",
            )
    except pickle.UnpicklingError as error:
        raise EngineUnavailable(
            f"voice model {checkpoint.model}",
            "is no file of weights, or holds more than weights",
            "Fetch the weights again; a checkpoint with code in it is never run",
        ) from error
    except (RuntimeError, ValueError, KeyError, TypeError, OSError, EOFError) as error:
        # PyTorch names the first tensor that does not fit in the second line.
        reason = " ".join(line.strip() for line in str(error).splitlines()[:2])
        raise EngineUnavailable(
            f"voice model {checkpoint.model}",
            f"does not load ({type(error).__name__}: {reason[:200]})",
            "Fetch the weights again, or check that model.pth belongs to config.json",
        ) from error
