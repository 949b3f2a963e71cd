"""Many runs: scenarios with their systems and variants, comparisons, sweeps."""
