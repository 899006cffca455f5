"""Models whose update is written in matrix notation: traced into a kernel, and run on NumPy stacks as its reference."""
