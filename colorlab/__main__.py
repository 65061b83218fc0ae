"""`python -m colorlab` is the command `colorlab`."""

from colorlab.cli import main

if __name__ == '__main__':
    main()
