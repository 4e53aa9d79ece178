"""Words for training: what a text-to-mel model is and how it is fitted, what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from studio.corpus import BatchSpec
from studio.specs import Spec


class ModelSpec(Spec):
    """The size of the text-to-mel model. The defaults make about two million parameters."""

    width: int = Field(default=128, ge=8, le=1024, description="channels between blocks")
    encoder_blocks: int = Field(default=4, ge=1, le=16)
    decoder_blocks: int = Field(default=4, ge=1, le=16)
    kernel_size: int = Field(default=5, ge=1, le=31, description="tokens or frames; odd")
    max_frames_per_token: int = Field(
        default=80, ge=2, le=1000, description="a longer one is taken for a mistake when speaking"
    )


class LearnSpec(Spec):
    """How the model is fitted."""

    num_steps: int = Field(default=2000, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0.0, le=1.0, description="at its peak")
    warmup_steps: int = Field(default=100, ge=0)
    weight_decay: float = Field(default=1e-4, ge=0.0, le=1.0)
    clip_norm: float = Field(default=1.0, gt=0.0, description="of the gradients of a whole step")
    validation_pct: float = Field(default=5.0, ge=0.0, le=50.0, description="of the clips")
    validate_every: int = Field(default=200, ge=1, description="steps")
    checkpoint_every: int = Field(default=500, ge=1, description="steps")
    seed: int = Field(default=0, ge=0, le=2**31 - 1)


class TrainSpec(Spec):
    """A training run: its model, its fitting, its batches."""

    model: ModelSpec = ModelSpec()
    fit: LearnSpec = LearnSpec()
    batch: BatchSpec = BatchSpec()
    memory_gib: float = Field(
        default=6.0, gt=0.0, description="asked of the ledger for each card that holds a replica"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much a diagnosis may take: A/B `pairs` of blocks at its first look (five at least), about
    how long a block of steps lasts, and the seconds after which nothing further is begun. A look
    that decides nothing is followed by another with twice as many pairs in all, while the budget
    lasts; where it would not hold five pairs of such blocks, they are shorter, and where it does
    not hold five of the shortest, nothing is decided.
    """

    pairs: int = 8
    block_s: float = 0.4
    budget_s: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LossPoint:
    """Losses at a step. `training` is the mean since the last point, `validation` the whole
    validation set, None when it was not measured here. Both are L1 of the normalised mel.
    """

    step: int
    training: float
    validation: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A validation clip as the model says it. Distortions are mel-cepstral, in dB against the
    recording: of the predicted mel, of its sound, and of the recording's own mel as sound, which
    is what the vocoder alone costs.
    """

    clip: str
    text: str
    mel_db: float
    sound_db: float
    vocoder_db: float
    num_frames: int
    reference_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """What a training run came to. `traces` counts compilations of the step, `retraces` those
    after the warm-up; `fetch_share` is the part of the loop's time spent waiting for input;
    `padding` the share of frames that no clip fills.
    """

    folder: str
    store_sha256: str
    first_step: int
    last_step: int
    num_parameters: int
    num_training: int
    num_validation: int
    replicas: int
    xla: bool
    precision: str
    backend: str
    shapes: tuple[tuple[int, int], ...]
    traces: int
    retraces: int
    warm_s: float
    step_s: float
    samples_per_s: float
    fetch_share: float
    padding: float
    points: tuple[LossPoint, ...]
    sentences: tuple[Sentence, ...]
