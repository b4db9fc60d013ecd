"""The command `stafet`."""


def main() -> None:
    """Run the command line."""
