"""VITS for several lines in one pass (Kim, Kong and Son, 2021), each as if it were alone.

The library draws one tensor of noise for a whole batch, so that what a line sounds like would
depend on the lines beside it. Here each line has the noise of its own seed, drawn on the CPU, and
its own tempo. Text, durations and flow are masked by the library's layers; the decoder has no mask,
so that every line, alone or not, is followed by as much silence of the latent as the decoder can
see ahead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from models.voice.durations import Symbol

LOOKAHEAD_FRAMES = 16
"""HiFi-GAN's layers see 13 frames ahead: 3 by the first convolution, 8 by the blocks at 8 samples a
frame, whose kernels of 11 are dilated by up to 5, and 2 by all that follow."""

MOST_FRAMES = 4096
"""Of a pass of the decoder, padding included: 48 s of speech, half a GiB of activations."""

SHORTEST_SHARE = 0.8
"""Lines that share a pass of the decoder are at least this long against the longest of them: more
padding costs what a pass less would save."""

NEARLY_A_FRAME = 1e-4
"""A length this little over whole frames is rounded down: what rounding in larger matrices changes
must not add a frame."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VitsLine:
    """A line for the model: its `tokens`, its `speaker` (id or vector, shape `(1,)` or
    `(1, channels)`), its language's id, the seed of its noise, and how many times longer than the
    network says a symbol lasts.
    """

    tokens: tuple[int, ...]
    speaker_id: Tensor | None
    d_vector: Tensor | None
    language_id: int | None
    seed: int
    length_scale: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VitsSpeech:
    """Mono `samples`, and how many frames each token lasts."""

    samples: NDArray[np.float32]
    frames: tuple[int, ...]


def speak_together(model: Any, lines: Sequence[VitsLine]) -> list[VitsSpeech]:
    """`lines` by the library's `Vits` in one pass, in order."""
    voice = _voices(model, lines)
    latent, durations = _latents(model, lines, voice)
    frames = [int(row.sum()) for row in durations]
    scale = latent.shape[2] / max(frames)
    spoken: dict[int, NDArray[np.float32]] = {}
    for rows in _passes(frames):
        longest = round(max(frames[row] for row in rows) * scale)
        part = latent[rows, :, :longest]
        ahead = torch.nn.functional.pad(part, (0, LOOKAHEAD_FRAMES))
        made = model.waveform_decoder(ahead, g=None if voice is None else voice[rows])
        hop = made.shape[2] / ahead.shape[2] * scale
        for place, row in enumerate(rows):
            sound = made[place, 0, : round(frames[row] * hop)]
            spoken[row] = sound.float().cpu().numpy().astype(np.float32, copy=False)
    return [
        VitsSpeech(
            samples=spoken[row], frames=tuple(durations[row].long().tolist()[: len(line.tokens)])
        )
        for row, line in enumerate(lines)
    ]


def symbols_of(model: Any, line: VitsLine, speech: VitsSpeech) -> list[Symbol]:
    """The phonemes of `line` with their lengths; none from a model that reads letters."""
    if not model.tokenizer.use_phonemes:
        return []
    hop = len(speech.samples) // max(sum(speech.frames), 1)
    letters = model.tokenizer.characters
    unwritten = {letters.pad, letters.blank, letters.eos, letters.bos}
    names = [str(letters.id_to_char(token)) for token in line.tokens]
    return [
        Symbol(text="" if name in unwritten else name, num_samples=length * hop)
        for name, length in zip(names, speech.frames, strict=True)
    ]


def _voices(model: Any, lines: Sequence[VitsLine]) -> Tensor | None:
    """What the layers are told of the speakers, `(lines, channels, 1)`; None for a single one."""
    ids = [line.speaker_id for line in lines if line.speaker_id is not None]
    vectors = [line.d_vector for line in lines if line.d_vector is not None]
    told = {
        "speaker_ids": torch.cat(ids) if ids else None,
        "d_vectors": torch.cat(vectors) if vectors else None,
    }
    voice: Tensor | None = model._get_speaker_conditioning(told, "emb_g", normalize_embedding=False)
    return voice


def _latents(model: Any, lines: Sequence[VitsLine], voice: Tensor | None) -> tuple[Tensor, Tensor]:
    """The decoder's input `(lines, channels, frames)`, 0 beyond a line's end, and the frames of
    each token.
    """
    from TTS.tts.utils.helpers import generate_path, sequence_mask

    where = model.device
    tokens = pad_sequence(
        [torch.tensor(line.tokens, device=where) for line in lines], batch_first=True
    )
    lengths = torch.tensor([len(line.tokens) for line in lines], device=where)
    languages = None
    if model.args.use_language_embedding and lines[0].language_id is not None:
        ids = torch.tensor([line.language_id for line in lines], device=where)
        languages = model.emb_l(ids).unsqueeze(-1)
    text, mean, spread, text_mask = model.text_encoder(tokens, lengths, lang_emb=languages)
    draws = [torch.Generator().manual_seed(line.seed) for line in lines]
    durations = _durations(model, lines, text, text_mask, voice, languages, draws)
    lengths = durations.sum(dim=1).clamp_min(1).long()
    mask = sequence_mask(lengths, None).to(text_mask.dtype).unsqueeze(1)
    both = text_mask.squeeze(1)[:, :, None] * mask.squeeze(1)[:, None, :]
    path = generate_path(durations, both)
    mean, spread = mean @ path, spread @ path
    noise = torch.zeros_like(mean)
    for row, (draw, length) in enumerate(zip(draws, lengths.tolist(), strict=True)):
        drawn = torch.randn((mean.shape[1], length), generator=draw)
        noise[row, :, :length] = drawn.to(noise)
    prior = (mean + noise * torch.exp(spread) * model.inference_noise_scale) * mask
    latent = model.flow(prior, mask, g=voice, reverse=True)
    latent, _, _, mask = model.upsampling_z(latent, y_lengths=lengths, y_mask=mask)
    return latent * mask, durations


def _durations(
    model: Any,
    lines: Sequence[VitsLine],
    text: Tensor,
    mask: Tensor,
    voice: Tensor | None,
    languages: Tensor | None,
    draws: Sequence[torch.Generator],
) -> Tensor:
    """Frames of each token, `(lines, tokens)`, whole numbers."""
    predictor = model.duration_predictor
    told = voice if model.args.condition_dp_on_speaker else None
    if model.args.use_sdp:
        noise = torch.zeros((len(lines), 2, text.shape[2]), device=text.device)
        for row, (line, draw) in enumerate(zip(lines, draws, strict=True)):
            count = len(line.tokens)
            noise[row, :, :count] = torch.randn((2, count), generator=draw).to(noise)
        logarithms = _stochastic(
            predictor, text, mask, told, languages, noise * model.inference_noise_scale_dp
        )
    else:
        logarithms = predictor(text, mask, g=told, lang_emb=languages)
    scales = torch.tensor([line.length_scale for line in lines], device=text.device)
    lengths = torch.exp(logarithms) * mask * scales[:, None, None]
    return torch.ceil(lengths - NEARLY_A_FRAME).clamp_min(0.0).squeeze(1)


def _stochastic(
    predictor: Any,
    text: Tensor,
    mask: Tensor,
    voice: Tensor | None,
    languages: Tensor | None,
    noise: Tensor,
) -> Tensor:
    """The stochastic duration predictor in reverse, from given noise; its last but one flow works
    on the half that is thrown away.
    """
    known = predictor.pre(text)
    if voice is not None:
        known = known + predictor.cond(voice)
    if languages is not None:
        known = known + predictor.cond_lang(languages)
    known = predictor.proj(predictor.convs(known, mask)) * mask
    flows = list(reversed(predictor.flows))
    state = noise
    for flow in [*flows[:-2], flows[-1]]:
        state = flow(torch.flip(state, [1]), mask, g=known, reverse=True)
    return state[:, :1]


def _passes(frames: Sequence[int]) -> Iterator[list[int]]:
    """Which lines share a pass of the decoder: of about one length, within `MOST_FRAMES`."""
    rows: list[int] = []
    for row in sorted(range(len(frames)), key=lambda row: -frames[row]):
        longest = frames[rows[0]] + LOOKAHEAD_FRAMES if rows else 0
        full = (len(rows) + 1) * longest > MOST_FRAMES
        if rows and (full or frames[row] < SHORTEST_SHARE * frames[rows[0]]):
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows
