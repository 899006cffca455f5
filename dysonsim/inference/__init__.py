"""Read drift, noise and repulsion off recorded trajectories."""
