"""MusicGen through transformers: the published checkpoints, by name or from a folder.

Text becomes a condition (T5), the condition becomes codes (`musicgen_tokens`), codes become sound
(EnCodec, 32 kHz). A model was trained on 30 seconds; more is written in windows that each begin
with the last ten seconds of codes, so that there is no seam to hide. All cues of a call share their
batches, each with its own random numbers: a cue sounds the same alone and in company, up to what
rounding in larger matrix products may flip (none in full precision on a CPU; the melody models read
padding and are an exception).

Nothing is downloaded here: weights that are not on the machine are an error that says how to get
them, and `musicgen_weights.fetch_weights` gets them when asked.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.music.arranger.room import loudness_lufs, saturated
from models.music.musicgen_weights import (
    MEMORY_GIB,
    WEIGHTS_LICENCE,
    device_name,
    identity,
    load_checkpoint,
    require_packages,
)
from models.music.piece import PIECE_LUFS, CueSpec, Piece
from studio.audio import resample
from studio.errors import MusicError
from studio.specs import DeviceSpec, MusicSpec
from studio.types import SAMPLE_RATE, EngineInfo

Sound = NDArray[np.float32]

WINDOW_S = 30.0
"""What the published models were trained on."""

OVERLAP_S = 10.0
"""How much of what was written a new window begins with."""

CODEC_BLOCK_S = 30.0
CODEC_MARGIN_S = 2.0
"""Codes are decoded in blocks with this much of their neighbours on each side, which are then cut
off: the codec's convolutions and recurrent layers have settled by then.
"""

TAKES = 3
"""How often a cue that came out silent or clipped is generated anew, with other random numbers."""

SILENT_LUFS = -60.0
CLIPPED_SHARE = 0.02


@contextmanager
def open_musicgen(spec: MusicSpec, device: DeviceSpec) -> Iterator[MusicGen]:
    """The model of `spec`, loaded; freed when the context ends.

    Raises `EngineUnavailable` when a package, the weights or the device is missing.
    """
    engine = MusicGen(spec, device)
    try:
        yield engine
    finally:
        engine.unload()


@dataclass(slots=True)
class _Cue:
    """A cue being generated: its random seed, the frames it needs, the codes it has."""

    seed: int
    frames: int
    codes: Any


class MusicGen:
    """A loaded MusicGen. Use `open_musicgen`."""

    def __init__(self, spec: MusicSpec, device: DeviceSpec) -> None:
        require_packages()
        import torch

        from models.music.layer_visits import keep_layers_away
        from models.music.musicgen_tokens import Sampling

        self._spec = spec
        self._device = torch.device(device_name(device.device))
        if device.threads:
            torch.set_num_threads(device.threads)
        self._sampling = Sampling(
            guidance=spec.guidance, top_k=spec.top_k, temperature=spec.temperature
        )
        self._tokenizer, self._model = load_checkpoint(spec)
        self._identity = identity(spec, device.dtype)
        self._melody = self._model.config.model_type == "musicgen_melody"
        precision = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
        # T5 overflows in half precision and the codec hums in it; both run once, the decoder 1500
        # times a window.
        self._model.eval().decoder.to(precision[device.dtype])
        if device.offload:
            keep_layers_away(self._model, self._device)
        else:
            self._model.to(self._device)
        self._decoder = self._model.decoder
        # A compiled layer would hold on to the weights that it was compiled with.
        if device.compile and not device.offload:
            self._decoder = _Compiled(self._model.decoder)
        codec = self._model.audio_encoder.config
        self._frame_rate, self._rate = codec.frame_rate, codec.sampling_rate
        self._hop = self._rate // self._frame_rate

    @property
    def info(self) -> EngineInfo:
        """What it is, under which licence, at which rate (Hz) it writes."""
        return EngineInfo(
            name="musicgen_hf",
            code_licence="Apache-2.0",
            weights_licence=WEIGHTS_LICENCE,
            commercial=False,
            memory_gib=MEMORY_GIB[self._spec.model],
            rate=self._rate,
            identity=self._identity,
        )

    def compose(self, cues: Sequence[CueSpec]) -> Iterator[Piece]:
        """One single-chunk piece per cue, generated `spec.batch` cues at a time.

        Each is as long as its cue, at most `spec.max_generated_s`, at `SAMPLE_RATE` and
        `PIECE_LUFS`. A silent or clipped one is made again with other random numbers. Raises
        `MusicError` when that does not help.
        """
        for first in range(0, len(cues), self._spec.batch):
            for sound in self._checked(cues[first : first + self._spec.batch]):
                yield Piece(hop_samples=len(sound), chunks=(sound,))

    def unload(self) -> None:
        """Free the model's memory. The engine cannot be used afterwards."""
        import torch

        del self._model, self._decoder, self._tokenizer
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _checked(self, cues: Sequence[CueSpec]) -> list[Sound]:
        done: dict[int, Sound] = {}
        fault = ""
        for take in range(TAKES):
            missing = [place for place in range(len(cues)) if place not in done]
            if not missing:
                break
            made = self._generate([cues[place] for place in missing], take)
            for place, sound in zip(missing, made, strict=True):
                wrong = fault_of(sound)
                if wrong:
                    fault = f"MusicGen made {wrong} for {cues[place].prompt!r}, {TAKES} times"
                else:
                    done[place] = levelled(sound)
        if len(done) < len(cues):
            raise MusicError("music", fault, "Use other words, or the arranger")
        return [done[place] for place in range(len(cues))]

    def _generate(self, cues: Sequence[CueSpec], take: int) -> list[Sound]:
        """Stereo at `SAMPLE_RATE`, one per cue."""
        import torch

        condition = self._condition([cue.prompt for cue in cues])
        lengths = [min(cue.seconds, self._spec.max_generated_s) for cue in cues]
        books = self._model.decoder.num_codebooks
        empty = torch.zeros((books, 0), dtype=torch.long, device=self._device)
        writing = [
            _Cue(cue.seed + 0x9E3779B9 * take, math.ceil(s * self._frame_rate), empty)
            for cue, s in zip(cues, lengths, strict=True)
        ]
        window = 0
        while open_rows := [i for i, c in enumerate(writing) if c.codes.shape[1] < c.frames]:
            self._window([writing[i] for i in open_rows], condition.rows(open_rows), window)
            window += 1
        return [
            self._sound(cue.codes[:, : cue.frames], round(s * SAMPLE_RATE))
            for cue, s in zip(writing, lengths, strict=True)
        ]

    def _window(self, cues: Sequence[_Cue], condition: Any, window: int) -> None:
        """Write the next window of every cue; all of them have been written equally far."""
        import torch

        from models.music.musicgen_tokens import delays, noise, write

        room = round(WINDOW_S * self._frame_rate)
        overlap = round(OVERLAP_S * self._frame_rate)
        prompt = torch.stack([cue.codes[:, -overlap:] for cue in cues])
        books = self._model.decoder.num_codebooks
        lag = max(delays(books, self._model.decoder.config.audio_channels))
        # As many frames more as codebooks lag: the last frames of a cue then have the same codes
        # beside them whether the window goes on for a longer cue or not.
        longest = max(cue.frames - cue.codes.shape[1] for cue in cues) + lag
        new = min(room - lag - prompt.shape[2], longest)
        uniform = torch.stack([noise(cue.seed, window, room, books) for cue in cues])
        written = write(self._decoder, condition, prompt, uniform[:, : new + lag], self._sampling)
        for cue, codes in zip(cues, written, strict=True):
            cue.codes = torch.cat([cue.codes, codes], dim=1)

    def _condition(self, prompts: Sequence[str]) -> Any:
        """The prompts through the text encoder, padded to the longest one, padding silenced."""
        import torch

        from models.music.musicgen_tokens import Condition

        with torch.inference_mode():
            read = self._tokenizer(list(prompts), padding=True, return_tensors="pt")
            ids, mask = (read[name].to(self._device) for name in ("input_ids", "attention_mask"))
            hidden = self._model.text_encoder(input_ids=ids, attention_mask=mask)[0]
            dtype = next(self._model.decoder.parameters()).dtype
            if hasattr(self._model, "enc_to_dec_proj"):
                hidden = self._model.enc_to_dec_proj(
                    hidden.to(self._model.enc_to_dec_proj.weight.dtype)
                )
            hidden = (hidden * mask[..., None]).to(dtype)
            if self._melody:
                hidden = torch.cat([self._no_melody(len(prompts)).to(dtype), hidden], dim=1)
        return Condition(hidden=hidden, mask=mask, prefix=self._melody)

    def _no_melody(self, batch: int) -> Any:
        """What a melody model reads where there is no melody: a chroma of its first class alone."""
        import torch

        config = self._model.config
        chroma = torch.zeros(batch, config.chroma_length, config.num_chroma, device=self._device)
        chroma[:, :, 0] = 1.0
        return self._model.audio_enc_to_dec_proj(chroma)

    def _sound(self, codes: Any, num_samples: int) -> Sound:
        """Codes `(codebooks, frames)` as stereo at `SAMPLE_RATE`, `num_samples` long."""
        if self._model.decoder.config.audio_channels == 2:
            sides = [self._decoded(codes[side::2]) for side in (0, 1)]
        else:
            sides = [self._decoded(codes)] * 2
        native = np.stack(sides, axis=1)
        out = resample(np.ascontiguousarray(native, np.float32), self._rate)
        return out[:num_samples]

    def _decoded(self, codes: Any) -> Sound:
        """Codes of one channel through the codec, block by block in constant memory."""
        import torch

        block = round(CODEC_BLOCK_S * self._frame_rate)
        margin = round(CODEC_MARGIN_S * self._frame_rate)
        parts = []
        with torch.inference_mode():
            for first in range(0, codes.shape[1], block):
                last = min(first + block, codes.shape[1])
                before, after = min(margin, first), min(margin, codes.shape[1] - last)
                piece = codes[None, None, :, first - before : last + after]
                values = self._model.audio_encoder.decode(piece, audio_scales=[None])[0]
                kept = values[0, 0, before * self._hop :][: (last - first) * self._hop]
                parts.append(kept.float().cpu().numpy())
        return np.concatenate(parts)


class _Compiled:
    """The decoder compiled; the rest of its attributes as they are."""

    def __init__(self, decoder: Any) -> None:
        import torch

        self._forward: Callable[..., Any] = torch.compile(decoder, dynamic=True)
        self._decoder = decoder

    def __call__(self, **inputs: Any) -> Any:
        return self._forward(**inputs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoder, name)


def fault_of(sound: Sound) -> str:
    """What is wrong with generated sound: "silence", "clipped sound", "noise that is no number"."""
    if not np.isfinite(sound).all():
        return "noise that is no number"
    if loudness_lufs(sound) < SILENT_LUFS:
        return "silence"
    return "clipped sound" if float(np.mean(np.abs(sound) > 0.999)) > CLIPPED_SHARE else ""


def levelled(sound: Sound) -> Sound:
    """At `PIECE_LUFS`, without offset, peaks bent under -5 dBFS."""
    centred = sound - sound.mean(axis=0, keepdims=True)
    gain = 10 ** ((PIECE_LUFS - loudness_lufs(centred)) / 20)
    return saturated((centred * np.float32(gain)).astype(np.float32))
