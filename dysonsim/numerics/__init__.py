"""Numbers that processes and users compute from levels and matrices, by compiled kernels."""
