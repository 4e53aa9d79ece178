"""Training: a text-to-mel model, the settings it runs under, and a diagnosis of what holds it up.

TensorFlow is imported inside the functions that need it: importing this package loads nothing.

- `configure`: settings before the first op, reported as requested, effective or ignored.
- `net`, `align`, `loss`, `steps`, `loop`: the model, its monotonic alignment and the loop.
- `vocoder`, `distortion`: mel to sound without a network, and how far it is from a recording.
- `verdict`, `diagnose`, `slow_stage`, `remedy`: input-bound or compute-bound, by how much and why.
"""
