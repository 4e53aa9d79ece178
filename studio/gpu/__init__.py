"""The cards: lent, measured, explained.

A run opens one ledger and one meter, and wraps each stage in both::

    nvml = load_nvml()
    found = survey(nvml, os.environ)
    with Meter(found.cards, nvml=nvml, sample_hz=5.0) as meter:
        with meter.stage("avatar", after=("speech",)) as running:
            ...
    for use in meter.uses():  # StageUse rows; their sums are the whole
        print(use.stage, use.wall_s, use.cpu_s)

Importing this package loads no driver. On a machine without one `survey` returns no cards and says
why, the meter measures the host, and the ledger refuses with an `EngineUnavailable` that names the
remedy.
"""
