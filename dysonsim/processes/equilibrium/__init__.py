"""`stationary`: what fluctuates around a fixed point, predicted for any model that has an update."""
