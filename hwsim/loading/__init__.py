"""Strict YAML to specs, scenarios and sweeps: every fault of a file at once, with line and column."""
