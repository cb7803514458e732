"""The console script as a module, for tests that run it in a separate process."""

from nightferry.cli.app import main

if __name__ == "__main__":
    main()
