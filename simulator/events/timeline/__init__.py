"""What happened when, for people: tracks and counters, a trace file for Perfetto, a Gantt chart.

`tracks` turns a simulation into a `Timeline`; `perfetto` writes it in the Trace Event Format, `gantt`
draws it. docs/timeline.md says what each track means.
"""
