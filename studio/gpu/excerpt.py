"""One run out of a trace that holds several: its spans, and what was read while they ran."""

from __future__ import annotations

from dataclasses import replace

from studio.gpu.trace import Sample, Span, Trace


def trace_of_run(trace: Trace, run: str) -> Trace:
    """The trace of `run` alone, zero at its start; the readings are the whole machine's."""
    spans = tuple(span for span in trace.spans if span.run == run)
    if not spans:
        return replace(trace, spans=(), samples=())
    start_s = min(span.start_s for span in spans)
    end_s = max(span.end_s for span in spans)
    samples = tuple(
        _sample_from(sample, start_s)
        for sample in trace.samples
        if sample.end_s > start_s and sample.start_s < end_s
    )
    return replace(trace, spans=tuple(_span_from(span, start_s) for span in spans), samples=samples)


def _sample_from(sample: Sample, zero_s: float) -> Sample:
    start_s = max(0.0, sample.start_s - zero_s)
    return replace(sample, start_s=start_s, end_s=sample.end_s - zero_s)


def _span_from(span: Span, zero_s: float) -> Span:
    return replace(
        span,
        start_s=span.start_s - zero_s,
        end_s=span.end_s - zero_s,
        phases=tuple(
            replace(phase, start_s=phase.start_s - zero_s, end_s=phase.end_s - zero_s)
            for phase in span.phases
        ),
        holds=tuple(
            replace(hold, start_s=hold.start_s - zero_s, end_s=hold.end_s - zero_s)
            for hold in span.holds
        ),
    )
