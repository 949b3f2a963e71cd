"""What to compute: tensors, operators, graphs, and the Work they ask for."""
