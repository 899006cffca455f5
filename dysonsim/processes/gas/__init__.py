"""The Coulomb gas."""
