"""One step of networks: SGD, Langevin noise, what the eigenvalues feel of it."""
