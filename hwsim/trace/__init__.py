"""What happened, from when to when."""

from __future__ import annotations

from hwsim.trace.build import trace_of
from hwsim.trace.critical import Step, critical_path, critical_time_ps, slack_ps
from hwsim.trace.perfetto import perfetto_events, write_perfetto
from hwsim.trace.record import Columns, Record
from hwsim.trace.trace import Block, Counter, Sample, Segment, Span, Trace, Track

__all__ = [
    "Block",
    "Columns",
    "Counter",
    "Record",
    "Sample",
    "Segment",
    "Span",
    "Step",
    "Trace",
    "Track",
    "critical_path",
    "critical_time_ps",
    "perfetto_events",
    "slack_ps",
    "trace_of",
    "write_perfetto",
]
