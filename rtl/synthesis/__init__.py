"""Circuits to gates: Yosys, standard-cell libraries, area, timing, switching energy, equivalence."""
