"""Networks in torch, as they train: one a file."""
