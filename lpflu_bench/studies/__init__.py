"""Studies: a grid of runs from one file, its executors, its store, and the report made of its records."""
