"""Draws of Coulomb gases: exact ones, Hamiltonian Monte Carlo, Metropolis."""
