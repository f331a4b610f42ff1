"""Pictures to .vqc files and back."""
