"""Integer logits to integer frequencies to a range coder's bits."""
