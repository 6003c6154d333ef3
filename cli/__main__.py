"""`python -m cli` is `gswarm-place`."""

from cli.main import main

if __name__ == "__main__":
    main(prog_name="gswarm-place")
