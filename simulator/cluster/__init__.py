"""Several devices: collectives over links, sharded graphs, parallel plans, and their simulation."""
