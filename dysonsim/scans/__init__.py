"""Scans over parameters: points, pieces, stores, and where they run."""
