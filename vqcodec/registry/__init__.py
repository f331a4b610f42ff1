"""Names and hashes to models: shipped in the wheel, installed by the user, or a file."""
