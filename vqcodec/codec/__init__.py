"""Index grids to tile streams and back, whatever the medium."""
