"""Many files: which becomes which, in how many processes, and what came of it.

Nothing here knows what the files are; `vqcodec.media.jobs` says what is done with them.
"""
