"""The event simulator: a Program's tiles and transfers compete for units, DRAM, DMA channels, ports and room.

`nest` says what the tiles of a block ask, `resources` who serves them, `run` how one block lives,
`engine` how blocks live together, `folding` which stretches need no second look. Time is whole ticks
(`clock`). `simulate` is the verb.
"""
