"""What files of sound hold beside the samples that are read of them."""
