"""`python -m evaluation` is `adora eval`."""

from adora_mm.cli import main

if __name__ == "__main__":
    import sys

    sys.exit(main(["eval", *sys.argv[1:]]))
