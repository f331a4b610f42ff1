"""The page that shows and makes .vqc files in a browser, served to this machine alone."""
