"""MusicGen's decoding: codes of a neural codec, written one frame after another.

A frame is one code per codebook (50 frames a second). Codebook k is written `delay[k]` steps after
the first, so that the codes of a frame can depend on each other (Copet et al., "Simple and
Controllable Music Generation", 2023, "delay" pattern). Classifier-free guidance moves the logits
away from what the model would write with no words at all.

The random numbers of a cue come from its own seed, drawn on the CPU before the first step; which
other cues share its batch, and on what device, does not matter to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How a code is drawn from the logits."""

    guidance: float
    top_k: int
    temperature: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What the words are to the decoder: `hidden` (batch, length, width), `mask` (batch, length).

    `prefix`: the melody models read `hidden` once, in front of the codes, and use no mask.
    """

    hidden: torch.Tensor
    mask: torch.Tensor
    prefix: bool

    def rows(self, chosen: Sequence[int]) -> Condition:
        """The condition of some of the cues."""
        index = torch.tensor(chosen, device=self.hidden.device)
        return Condition(hidden=self.hidden[index], mask=self.mask[index], prefix=self.prefix)


def delays(num_codebooks: int, num_channels: int) -> list[int]:
    """Steps by which each codebook lags; stereo models interleave left and right."""
    return [k // num_channels for k in range(num_codebooks)]


def noise(seed: int, window: int, num_steps: int, num_codebooks: int) -> torch.Tensor:
    """Uniform numbers in [0, 1) for one cue and one window, `(num_steps, num_codebooks)`."""
    rng = np.random.default_rng([seed, window])
    return torch.from_numpy(rng.random((num_steps, num_codebooks), np.float32))


@torch.inference_mode()
def write(
    decoder: Any,
    condition: Condition,
    prompt: torch.Tensor,
    uniform: torch.Tensor,
    sampling: Sampling,
) -> torch.Tensor:
    """New codes after `prompt`.

    Args:
        decoder: the language model over codes (`MusicgenForCausalLM` or its melody sibling).
        condition: the words of every cue.
        prompt: codes already written, `(batch, codebooks, frames)`; may hold no frame.
        uniform: `(batch, steps, codebooks)`; new frames are `steps` minus the longest delay.
        sampling: guidance, top-k, temperature.

    Returns:
        `(batch, codebooks, new frames)`.
    """
    batch, num_codebooks, known = prompt.shape
    lag = delays(num_codebooks, decoder.config.audio_channels)
    steps = uniform.shape[1]
    frames = known + steps - max(lag)
    pad = decoder.config.pad_token_id
    # Position p of codebook k holds frame p - 1 - lag[k]; outside the music it holds the pad code.
    grid = torch.full((batch, num_codebooks, frames + max(lag) + 1), pad, device=prompt.device)
    for k, late in enumerate(lag):
        grid[:, k, 1 + late : 1 + late + known] = prompt[:, k]
    guided = sampling.guidance > 1.0
    hidden, mask = _with_null(condition) if guided else (condition.hidden, condition.mask)
    uniform = uniform.to(prompt.device)
    past: Any = None
    begin = 0
    for at in range(known + 1, known + 1 + steps):
        # What was read before is in the cache: after the prompt, one position a step.
        unread = grid[:, :, begin:at].repeat(2 if guided else 1, 1, 1)
        out = decoder(
            input_ids=unread.reshape(-1, at - begin),
            past_key_values=past,
            use_cache=True,
            **_words(hidden, mask, condition.prefix, first=past is None),
        )
        begin = at
        past = out.past_key_values
        drawn = draw(
            _guided(out.logits, num_codebooks, sampling), uniform[:, at - known - 1], sampling
        )
        for k, late in enumerate(lag):
            if known <= at - 1 - late < frames:
                grid[:, k, at] = drawn[:, k]
    return torch.stack(
        [grid[:, k, 1 + late + known : 1 + late + frames] for k, late in enumerate(lag)], dim=1
    )


def _words(
    hidden: torch.Tensor, mask: torch.Tensor, prefix: bool, *, first: bool
) -> dict[str, Any]:
    """The decoder's arguments for the words: read in every step, or once in front of the codes."""
    if prefix:
        return {"encoder_hidden_states": hidden if first else None}
    return {"encoder_hidden_states": hidden, "encoder_attention_mask": mask}


def _guided(logits: torch.Tensor, num_codebooks: int, sampling: Sampling) -> torch.Tensor:
    """The last step's logits, `(batch, codebooks, codes)`, moved towards the words."""
    last = logits[:, -1].float().reshape(-1, num_codebooks, logits.shape[-1])
    if sampling.guidance <= 1.0:
        return last
    wanted, empty = last.chunk(2)
    return empty + (wanted - empty) * sampling.guidance


def draw(logits: torch.Tensor, uniform: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """One code per row by inverting the cumulative distribution of the `top_k` likeliest codes.

    `logits` (..., codes), `uniform` (...) in [0, 1). Equal logits are ordered by their code, so
    that the outcome does not depend on how a device sorts.
    """
    count = sampling.top_k or logits.shape[-1]
    ordered, codes = torch.sort(logits / sampling.temperature, dim=-1, descending=True, stable=True)
    likely = torch.softmax(ordered[..., :count].double(), dim=-1)
    reached = torch.cumsum(likely, dim=-1)
    place = (reached <= uniform[..., None].double() * reached[..., -1:]).sum(dim=-1)
    place = place.clamp(max=reached.shape[-1] - 1)
    return torch.gather(codes, -1, place[..., None])[..., 0]


def _with_null(condition: Condition) -> tuple[torch.Tensor, torch.Tensor]:
    """The condition, and below it what stands for no words: nothing at all, masked.

    A melody model's prefix begins with its (empty) melody, which the null half keeps: only words
    are guided. Its words are the columns that the mask covers.
    """
    hidden, mask = condition.hidden, condition.mask
    if not condition.prefix:
        return (
            torch.cat([hidden, torch.zeros_like(hidden)]),
            torch.cat([mask, torch.zeros_like(mask)]),
        )
    null = hidden.clone()
    null[:, hidden.shape[1] - mask.shape[1] :] = 0.0
    return torch.cat([hidden, null]), torch.cat([mask, torch.zeros_like(mask)])
