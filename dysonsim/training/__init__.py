"""Weights and trainings of other libraries: read, watched, examined."""
