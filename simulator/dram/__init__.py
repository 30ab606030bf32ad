"""DRAM in time: channels, banks, open rows, refresh.

`bulk` is what a simulation uses: it reserves the DRAM for whole runs of bytes, either by bandwidth alone
(`PlainDram`) or with banks, rows and refresh (`BankedDram`, compiled in `segments`). `bursts` says what a run
means, burst by burst, in the plainest Python; `laws` says how long streams, strides and random bursts take in
closed form. The three agree: see docs/dram.md. `ticks` turns a part's nanoseconds into the integers that all
use.
"""
