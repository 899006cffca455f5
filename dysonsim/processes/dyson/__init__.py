"""Dyson Brownian motion."""
