"""The cards: lent, measured, explained.

A run opens one ledger and one meter, and wraps each stage in both::

    nvml = load_nvml()
    found = survey(nvml, os.environ)
    ledger = Ledger(host_folder(os.environ), found.cards, reserve_gib=spec.reserve_gib)
    with (
        EnginePool(ledger) as pool,
        Meter(found.cards, nvml=nvml, sample_hz=spec.sample_hz) as meter,
    ):
        with meter.stage("speech") as running:
            # an engine that stays warm: the pool borrows for it, and marks waits and loads
            with pool.engine(key, open_on_device, need_gib=6.0, running=running) as voice:
                ...
        with meter.stage("encode", after=("speech",)) as running:
            with ledger.lend(stage="encode", need_gib=1.0, nvenc=1) as lease:
                running.holds(lease)
                ...
    uses = meter.uses()  # StageUse rows; their sums are the whole
    report = report_of("Episode 12", meter.trace(), uses)  # judged: report.verdict
    page, picture = report_html(report), timeline_svg(report.trace)

Importing this package loads no driver. On a machine without one `survey` returns no cards and says
why, the meter measures the host, and the ledger refuses with an `EngineUnavailable` that names the
remedy.
"""
