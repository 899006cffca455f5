"""The Gaussian restricted Boltzmann machine."""
