"""What picture files of each format consist of."""
