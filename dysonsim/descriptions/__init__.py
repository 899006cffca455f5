"""SGD, Langevin, Dyson and the Coulomb gas beside each other."""
