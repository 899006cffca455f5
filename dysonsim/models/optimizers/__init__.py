"""Optimizers: what they do with the gradients of any model, and what theory says of them."""
