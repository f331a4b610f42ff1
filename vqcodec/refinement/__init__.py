"""Better indices for a picture, by gradient descent through synthesis and prior. Needs torch."""
