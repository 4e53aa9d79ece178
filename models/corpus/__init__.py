"""Training data: the mel spectrogram, text as tokens, batches planned and read.

`open_store` maps what `studio corpus prepare` wrote, `plan` says which clips are in which batch,
and `dataset` gives the batches as a `tf.data.Dataset` from a `Cursor` on.
"""

from models.corpus.buckets import Shape
from models.corpus.cursor import Cursor, advanced, start, steps_per_epoch
from models.corpus.dataset import backend_for, dataset
from models.corpus.features import log_mel, mel_basis, stft_window
from models.corpus.mapped import Corpus, open_store
from models.corpus.plan import BLANK, Plan, Stretch, corpus_shapes, plan

__all__ = [
    "BLANK",
    "Corpus",
    "Cursor",
    "Plan",
    "Shape",
    "Stretch",
    "advanced",
    "backend_for",
    "corpus_shapes",
    "dataset",
    "log_mel",
    "mel_basis",
    "open_store",
    "plan",
    "start",
    "steps_per_epoch",
    "stft_window",
]
