"""`python -m cli` is `gswarm-place`."""

import os

if __name__ == "__main__":
    try:
        from cli.entry import main
    except KeyboardInterrupt:  # in the moment before signals are heard
        os.write(2, b"interrupted\n")
        os._exit(130)
    main()
