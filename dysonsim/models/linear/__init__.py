"""Linear networks, with and without a hidden layer."""
