"""Still pictures: reading and writing them, and the pipeline from pixels to .vqc files and back."""
