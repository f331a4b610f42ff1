"""Small programs that make the conformance vectors; `generate.py` runs them."""
