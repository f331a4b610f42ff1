"""Training codebooks and priors on pictures of one's own."""
