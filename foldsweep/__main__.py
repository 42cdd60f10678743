"""`python -m foldsweep`, for use if the command `foldsweep` is not on the path."""

from foldsweep.command import run

if __name__ == "__main__":
    run()
