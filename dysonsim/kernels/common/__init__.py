"""What all kernels share: random numbers, functions, algebra, one network in plain arrays."""
