"""The networks: encoder, codebook, decoder and the integer prior."""
