"""What is asked of a corpus: its features, its text, its limits, its batches.

Everything in `CorpusSpec` determines bytes of the store and is part of its identity; `BatchSpec`
determines the order and shape of batches and is part of a plan's.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from studio.specs import Spec

Storage = Literal["f16", "u16", "f32"]
"""How a mel value is kept: IEEE half, a 16-bit code on an even grid, or IEEE single."""

Backend = Literal["auto", "resident", "mapped", "tfrecord"]


class MelSpec(Spec):
    """The one definition of a mel spectrogram, for preparation, training and synthesis alike.

    Natural logarithm of Slaney mel bands of the magnitude of a centred, zero-padded, periodic-Hann
    STFT, never below `log(floor)`. The defaults are those that LJSpeech acoustic models and
    vocoders are commonly trained on, with the whole band kept.
    """

    sample_rate: int = Field(default=22_050, ge=8_000, le=48_000)
    n_fft: int = Field(default=1024, ge=64, le=8192, multiple_of=2)
    win_length: int = Field(default=1024, ge=64, le=8192)
    hop_length: int = Field(default=256, ge=16, le=4096)
    n_mels: int = Field(default=80, ge=8, le=256)
    fmin_hz: float = Field(default=0.0, ge=0.0)
    fmax_hz: float = Field(default=0.0, ge=0.0, description="0: half the sample rate")
    floor: float = Field(default=1e-5, gt=0.0, le=1e-1, description="magnitude; -100 dB")
    storage: Storage = "f16"

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        if self.win_length > self.n_fft:
            raise ValueError("win_length is longer than n_fft")
        if self.hop_length > self.win_length:
            raise ValueError("hop_length is longer than win_length: samples would be skipped")
        if not self.fmin_hz < self.highest_hz <= self.sample_rate / 2:
            raise ValueError("fmax_hz must lie above fmin_hz and at most at half the sample rate")
        return self

    @property
    def highest_hz(self) -> float:
        """Upper edge of the highest band."""
        return self.fmax_hz or self.sample_rate / 2

    def frames(self, num_samples: int) -> int:
        """Frames of a sound: frame t is centred on sample `t * hop_length`."""
        return num_samples // self.hop_length + 1


class TokenSpec(Spec):
    """What a model reads: characters of the normalised text, or phonemes with their lengths."""

    kind: Literal["characters", "phonemes"] = "characters"
    language: str = Field(default="en-us", description="BCP 47; how figures are read out")
    read_out: bool = Field(
        default=True, description="write figures and abbreviations as the words that are spoken"
    )
    lower_case: bool = True
    symbols: str = Field(
        default=" abcdefghijklmnopqrstuvwxyz!'(),-.:;?\"",
        description="the characters a text may have after normalisation; token i + 1 is symbol i",
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.symbols)) != len(self.symbols):
            raise ValueError("symbols holds a character twice")
        return self


class LimitSpec(Spec):
    """What a clip must keep to; one that does not is quarantined with the reason."""

    min_s: float = Field(default=0.3, ge=0.0, le=60.0)
    max_s: float = Field(default=20.0, gt=0.0, le=120.0)
    max_tokens: int = Field(default=400, ge=1, le=65_535)
    max_tokens_per_s: float = Field(
        default=40.0,
        gt=0.0,
        description="faster than speech: they do not belong together",
    )
    silence_db: float = Field(
        default=-60.0, ge=-120.0, le=0.0, description="RMS dBFS at or below which a clip is silent"
    )


class CorpusSpec(Spec):
    """All that determines a store's bytes, beside the recordings."""

    mel: MelSpec = MelSpec()
    tokens: TokenSpec = TokenSpec()
    limits: LimitSpec = LimitSpec()


class AugmentSpec(Spec):
    """Changes of a clip's mel, drawn anew for every (seed, epoch, clip). All off by default."""

    gain_db: float = Field(default=0.0, ge=0.0, le=24.0, description="evenly within ± this")
    time_masks: int = Field(default=0, ge=0, le=8)
    time_mask_frames: int = Field(default=20, ge=1, le=200, description="the longest")
    time_mask_pct: float = Field(
        default=20.0, gt=0.0, le=100.0, description="of a clip's length that one mask may take"
    )
    mel_masks: int = Field(default=0, ge=0, le=8)
    mel_mask_bands: int = Field(default=10, ge=1, le=128, description="the widest")
    noise: float = Field(
        default=0.0, ge=0.0, le=2.0, description="standard deviation added to the log mel"
    )

    @property
    def active(self) -> bool:
        """Whether anything is changed at all."""
        return bool(self.gain_db or self.time_masks or self.mel_masks or self.noise)


class BatchSpec(Spec):
    """How clips become batches and how batches are read."""

    batch_size: int = Field(default=32, ge=1, le=4096, description="rows of one rank's batch")
    num_buckets: int = Field(default=8, ge=1, le=64, description="static shapes, at most")
    round_to: int = Field(default=8, ge=1, le=128, description="frames and tokens: multiples of")
    remainder: Literal["blank", "drop"] = Field(
        default="blank",
        description="an epoch's last batch: filled with blank rows, or left out and reported",
    )
    seed: int = Field(default=0, ge=0, le=2**63 - 1)
    shuffle: bool = True
    backend: Backend = Field(
        default="auto", description="auto: resident when the store fits the RAM budget, else mapped"
    )
    records: str = Field(
        default="", description="folder of a TFRecord export of the store, for backend tfrecord"
    )
    dtype: Literal["f32", "f16"] = Field(default="f32", description="of the mel in a batch")
    ram_budget_gib: float = Field(
        default=0.0, ge=0.0, description="0: a quarter of the free memory, 8 GiB at most"
    )
    parallel_calls: int = Field(default=2, ge=1, le=64)
    prefetch: int = Field(default=2, ge=0, le=64)
    augment: AugmentSpec = AugmentSpec()
