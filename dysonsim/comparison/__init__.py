"""The shared comparison module: data or runs against laws or other runs."""
