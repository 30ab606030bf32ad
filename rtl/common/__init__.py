"""What every unit in hardware shares: Verilator, the build of a model, and the harness that drives it."""
