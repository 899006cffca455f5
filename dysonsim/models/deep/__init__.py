"""Deep linear networks: training, and what theory predicts for the product of all layers and for each of them."""
