"""`python -m gateway` is the `gatepost` program."""

from gateway.app import main

if __name__ == "__main__":
    main()
