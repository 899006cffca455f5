"""Networks of several layers with nonlinear units."""
