"""Sound: reading and writing it, and the pipeline from samples to .vqc files and back."""
