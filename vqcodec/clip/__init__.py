"""Short clips, moving pictures without sound, to .vqc files and back."""
