"""Sums and steps of one system of many levels."""
