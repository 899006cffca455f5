"""One step of Dyson Brownian motion and of levels beside walls."""
