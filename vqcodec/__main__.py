"""The package, run as a program."""

from vqcodec.cli import main

main()
