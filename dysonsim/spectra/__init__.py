"""What to look at in recorded levels."""
