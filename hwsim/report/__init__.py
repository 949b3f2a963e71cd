"""What it means: totals, utilization, energy, bottlenecks, and their tables, plots and pages."""
