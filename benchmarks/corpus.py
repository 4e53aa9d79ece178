"""Training data: what preparing costs, what a batch costs, and what others pay for the same batch.

CPU time of the whole process (all threads) per sample, and ratios taken inside one run in rotating
rounds: wall-clock times on a busy machine mean little. Exit code 1 when a target is missed.

    OMP_NUM_THREADS=1 python benchmarks/corpus.py [--clips 1024] [--seconds 2] [--rounds 3]
    OMP_NUM_THREADS=1 python benchmarks/corpus.py --recordings LJSpeech-1.1
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import psutil
import soundfile
from numpy.typing import NDArray

from models.corpus import BLANK, Corpus, dataset, mel_basis, open_store, plan, stft_window
from models.corpus.graph import tensorflow
from models.corpus.statistics import policies
from models.voice import LineSpec
from models.voice.espeak_ng import utter
from studio.corpus import BatchSpec, CorpusSpec, MelSpec, layout
from tasks.corpus_export import export_records
from tasks.corpus_prepare import prepare_corpus

BATCH = BatchSpec(batch_size=32, num_buckets=5, seed=1)

_WORDS = (
    "the old harbour master walked slowly along the quiet pier while seven grey gulls cried over "
    "cold green water and somebody far away rang a bell for the late evening train that carried "
    "letters bread lamps and travellers through many small towns toward the distant hills"
)
"""Words of the sentences that are spoken and timed."""

Row = tuple[str, float, str, bool | None]
"""What, how much, the target in words, whether it is met."""


def main() -> None:
    """Measure, print, and say by the exit code whether all targets are met."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--clips", type=int, default=1024)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each path in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--recordings", type=Path, help="an LJSpeech folder in place of spoken sentences"
    )
    parser.add_argument("--open-huge", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.open_huge:
        print(json.dumps(_open_huge(*options.open_huge)))
        return
    with tempfile.TemporaryDirectory(prefix="corpus-bench-") as name:
        folder = Path(name)
        recordings = options.recordings or speak(folder / "lj", options.clips)
        rows, prepare_ms = _prepare(folder, recordings)
        rows += _read(folder, recordings, options, prepare_ms)
        rows += _padding()
        rows += _huge(folder)
    print(f"{'':58} {'measured':>10}  target")
    for what, value, target, met in rows:
        mark = {True: "met", False: "MISSED", None: ""}[met]
        print(f"{what:58} {value:10.4g}  {target:24} {mark}")
    sys.exit(any(met is False for *_, met in rows))


def _prepare(folder: Path, recordings: Path) -> tuple[list[Row], float]:
    clips = len(list((recordings / "wavs").iterdir()))
    spec = CorpusSpec()
    costs = {}
    for workers in (1, 2):
        store = folder / f"store-{workers}"
        costs[workers] = _cost(recordings, store, spec, workers)
    again = _cost(recordings, folder / "store-1", spec, 1)
    same = all(
        (folder / "store-1" / name).read_bytes() == (folder / "store-2" / name).read_bytes()
        for name in ("mel.f16", layout.TOKENS, layout.CLIPS, layout.INDEX, layout.SPEC)
    )
    per_clip = 1e3 * min(costs.values()) / clips
    share = 100 * again / costs[1]
    return [
        ("prepare, CPU-ms per clip", per_clip, "", None),
        ("  unchanged again, % of the first", share, "<= 2", share <= 2),
        ("  same bytes with 1 and 2 workers", float(same), "1", same),
    ], per_clip


def _cost(recordings: Path, store: Path, spec: CorpusSpec, workers: int) -> float:
    """CPU seconds of one preparation."""
    begin = time.process_time()
    prepare_corpus([recordings], store, spec, workers=workers)
    return time.process_time() - begin


def _read(folder: Path, recordings: Path, options: Any, prepare_ms: float) -> list[Row]:
    corpus = open_store(folder / "store-1")
    export_records(corpus, folder / "records")
    write_npy(corpus, folder / "npy")
    records = folder / "records"
    ways: dict[str, Iterator[Any]] = {
        "on the fly, TensorFlow graph": iter(on_the_fly(corpus, recordings)),
        "one .npy a clip": iter(npy_files(corpus, folder / "npy")),
        "floor f32": floor(corpus, "f32"),
        "floor f16": floor(corpus, "f16"),
    }
    for backend in ("resident", "mapped", "tfrecord"):
        for dtype in ("f32", "f16"):
            ways[f"{backend} {dtype}"] = iter(ours(corpus, backend, dtype, records))
    sound = graph_mel(_wav(recordings, corpus.info(0).id), corpus.spec.mel).numpy()
    if np.abs(sound - corpus.clip_mel(0)).max() > 6e-3:
        sys.exit("the two paths compute other mels")
    for way in ways.values():
        _consume(way, 0.5)
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            found[name].append(_consume(way, options.seconds))
    ms = {name: statistics.median(values) for name, values in found.items()}
    rows: list[Row] = [
        (f"{name}, CPU-ms per sample", value, "", None) for name, value in ms.items()
    ]
    best, mapped = ms["resident f32"], ms["mapped f32"]
    fly, npy = ms["on the fly, TensorFlow graph"], ms["one .npy a clip"]
    epochs = prepare_ms / fly
    return [
        *rows,
        ("on the fly / resident f32", fly / best, ">= 50", fly / best >= 50),
        ("on the fly / mapped f32", fly / mapped, ">= 50", fly / mapped >= 50),
        ("one .npy a clip / resident f32", npy / best, ">= 8", npy / best >= 8),
        ("one .npy a clip / mapped f32", npy / mapped, ">= 8", npy / mapped >= 8),
        *(
            (f"{way} / floor", value, "<= 3.5", value <= 3.5)
            for way in ("resident f32", "resident f16", "mapped f32", "mapped f16")
            for value in [ms[way] / ms[f"floor {way[-3:]}"]]
        ),
        ("prepare, in epochs on the fly", epochs, "<= 1.2", epochs <= 1.2),
    ]


def _wav(recordings: Path, name: str) -> Any:
    return soundfile.read(recordings / "wavs" / f"{name}.wav", dtype="float32")[0]


def _consume(way: Iterator[Any], seconds: float) -> float:
    """CPU-ms per sample of `seconds` of batches."""
    samples, begin, until = 0, time.process_time(), time.monotonic() + seconds
    while time.monotonic() < until:
        batch = next(way)
        if isinstance(batch, int):
            samples += batch
        elif isinstance(batch, dict):
            samples += int((batch["clip"].numpy() >= 0).sum())
        else:
            samples += int(batch.shape[0])
    return 1e3 * (time.process_time() - begin) / samples


def _padding() -> list[Row]:
    """13,100 lengths with the mean, deviation and ends that LJSpeech 1.1 publishes."""
    rng = np.random.default_rng(1)
    seconds = np.clip(10.1 - rng.gamma(2.6, 1.36, 13_100), 1.11, 10.1)
    frames = (seconds * 22_050 / 256).astype(np.int64) + 1
    tokens = np.maximum(5, frames * 0.175 + rng.normal(0, 8, len(frames))).astype(np.int64)
    spec = BatchSpec(batch_size=32, num_buckets=8)
    begin = time.process_time()
    plan(frames, tokens, spec)
    cost = time.process_time() - begin
    rows: list[Row] = []
    for index, policy in enumerate(policies(frames, tokens, spec)):
        share = 100 * policy.padding
        met = share <= 8 and policy.shapes <= 8 if index == 0 else None
        what = f"padding %, {policy.name} ({policy.shapes} shapes)"
        rows.append((what, share, "" if index else "<= 8, 8 shapes", met))
    return [*rows, ("plan of 13,100 clips, CPU-ms", 1e3 * cost, "", None)]


def _huge(folder: Path) -> list[Row]:
    """A store of 100,000 clips and 7.2 GB (sparse), opened by a process of its own."""
    store = folder / "huge"
    store.mkdir()
    rng = np.random.default_rng(2)
    rows = np.zeros(100_000, layout.ROW)
    rows["num_frames"] = rng.integers(200, 700, len(rows))
    rows["num_tokens"] = 80
    rows["num_samples"] = (rows["num_frames"] - 1) * 256
    rows["frame"][1:] = np.cumsum(rows["num_frames"][:-1], dtype=np.int64)
    rows["token"] = np.arange(len(rows)) * 80
    spec = CorpusSpec()
    sizes = {"mel.f16": int(rows["num_frames"].sum()) * 160, layout.TOKENS: len(rows) * 160}
    for name, size in sizes.items():
        with (store / name).open("wb") as file:
            file.truncate(size)
    told = {"format": layout.FORMAT, "spec": spec.model_dump(mode="json")}
    (store / layout.SPEC).write_text(json.dumps(told))
    names = {"num_bytes": sizes, "speakers": [""], "vocabulary": list(spec.tokens.symbols)}
    text = np.frombuffer(json.dumps(names).encode(), np.uint8)
    with (store / layout.INDEX).open("wb") as file:
        np.savez(file, rows=rows, names=text)
    command = [sys.executable, __file__, "--open-huge", str(store), str(folder / "store-1")]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, mib = json.loads(answer.splitlines()[-1])
    return [
        (
            f"{sizes['mel.f16'] / 1e9:.1f} GB: open, plan, first batch, s",
            seconds,
            "<= 0.3",
            seconds <= 0.3,
        ),
        ("  memory it takes, MiB", mib, "<= 50", mib <= 50),
    ]


def _open_huge(store: Path, small: Path) -> tuple[float, float]:
    """Seconds (CPU: the wall belongs to the neighbours) and MiB, TensorFlow being loaded."""
    process = psutil.Process()
    spec = BatchSpec(batch_size=32, backend="mapped")
    # What the first dataset of any process pays: TensorFlow's threads and its first traces.
    next(iter(dataset(open_store(small), spec)))
    rss, begin = process.memory_info().rss, time.process_time()
    next(iter(dataset(open_store(store), spec)))
    took = time.process_time() - begin
    return took, (process.memory_info().rss - rss) / 2**20


def speak(folder: Path, count: int) -> Path:
    """`count` sentences of about 2 to 8 s by the embedded voice, as an LJSpeech folder."""
    (folder / "wavs").mkdir(parents=True)
    rng, lines = np.random.default_rng(3), []
    for index in range(count):
        words = rng.choice(_WORDS.split(), int(rng.integers(8, 26)))
        text = f"{' '.join(words).capitalize()}."
        said = utter(LineSpec(text=text, voice="alto", rate_wpm=180))
        path = folder / "wavs" / f"bench-{index:05d}.wav"
        soundfile.write(path, said.samples, said.sample_rate, subtype="PCM_16")
        lines.append(f"{path.stem}|{text}|{text}")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def graph_mel(samples: Any, spec: MelSpec) -> Any:
    """Our mel as TensorFlow operations, for the path that computes it anew each time."""
    tf = tensorflow()
    half = spec.n_fft // 2
    frames = tf.signal.frame(tf.pad(samples, [[half, half]]), spec.n_fft, spec.hop_length)
    magnitude = tf.abs(tf.signal.rfft(frames * stft_window(spec)))
    mel = tf.matmul(magnitude, tf.constant(mel_basis(spec).T))
    return tf.math.log(tf.maximum(mel, spec.floor))


def on_the_fly(corpus: Corpus, recordings: Path) -> Any:
    """WAV files decoded and transformed in the graph, every epoch again, with AUTOTUNE."""
    tf = tensorflow()
    names = [str(recordings / "wavs" / f"{corpus.info(c).id}.wav") for c in _order(corpus)]

    def load(name: Any) -> Any:
        sound, _ = tf.audio.decode_wav(tf.io.read_file(name), desired_channels=1)
        return graph_mel(sound[:, 0], corpus.spec.mel)

    return _forever(tf.data.Dataset.from_tensor_slices(names), load, corpus, tf.data.AUTOTUNE)


def write_npy(corpus: Corpus, folder: Path) -> None:
    """One float32 `.npy` a clip, as TensorFlowTTS keeps them."""
    folder.mkdir()
    for clip in range(len(corpus)):
        np.save(folder / f"{clip}.npy", corpus.clip_mel(clip))


def npy_files(corpus: Corpus, folder: Path) -> Any:
    """One file a clip, read by Python for each."""
    tf = tensorflow()

    def load(clip: Any) -> Any:
        def read(number: int) -> NDArray[np.float32]:
            return np.asarray(np.load(folder / f"{number}.npy"), np.float32)

        mel = tf.numpy_function(read, [clip], tf.float32, stateful=False)
        return tf.ensure_shape(mel, [None, corpus.spec.mel.n_mels])

    clips = tf.data.Dataset.from_tensor_slices(_order(corpus))
    return _forever(clips, load, corpus, tf.data.AUTOTUNE)


def ours(corpus: Corpus, backend: str, dtype: str, records: Path) -> Any:
    """The dataset as shipped."""
    wanted = BATCH.model_copy(update={"backend": backend, "dtype": dtype})
    return dataset(corpus, wanted, num_epochs=None, records=records)


def floor(corpus: Corpus, dtype: str) -> Iterator[int]:
    """What no design can avoid: the batch's stored bytes read from the file system's cache, the
    batch's own bytes written once. Yields the rows of each batch.
    """
    made = plan(corpus.num_frames, corpus.num_tokens, BATCH)
    name = corpus.folder / f"mel.{corpus.spec.mel.storage}"
    per_frame = corpus.mel.dtype.itemsize * corpus.mel.shape[1]
    wide = np.float32 if dtype == "f32" else np.float16
    most = max(shape.frames for shape in made.shapes)
    source = bytearray(BATCH.batch_size * most * per_frame)
    out = np.empty((BATCH.batch_size, most, corpus.mel.shape[1]), wide)
    handle = os.open(name, os.O_RDONLY)
    try:
        while True:
            for bucket, rows in zip(made.bucket, made.rows[:, 0], strict=True):
                clips = rows[rows != BLANK]
                num_bytes = int(corpus.num_frames[clips].sum()) * per_frame
                os.preadv(handle, [memoryview(source)[:num_bytes]], 0)
                flat = out.reshape(-1)
                flat[: BATCH.batch_size * made.shapes[bucket].frames * out.shape[2]].fill(1.0)
                yield len(clips)
    finally:
        os.close(handle)


def _order(corpus: Corpus) -> list[int]:
    made = plan(corpus.num_frames, corpus.num_tokens, BATCH)
    return [int(clip) for clip in made.rows.ravel() if clip != BLANK]


def _forever(source: Any, load: Any, corpus: Corpus, parallel: int) -> Any:
    mels = source.repeat().map(load, num_parallel_calls=parallel, deterministic=True)
    shape = [None, corpus.spec.mel.n_mels]
    return mels.padded_batch(BATCH.batch_size, padded_shapes=shape).prefetch(2)


if __name__ == "__main__":
    main()
