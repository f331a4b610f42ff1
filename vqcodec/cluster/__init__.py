"""Folders of millions of files, on many machines, by Ray (extra `ray`)."""
