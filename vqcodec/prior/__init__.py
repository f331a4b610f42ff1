"""The exact half of the codec: integer priors, evaluated with NumPy or with the C kernel."""
