"""The `twinstep` command. Answers `--version` before anything heavy is loaded; hands on the rest."""

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    if _wants_version(given):
        from runtime import __version__

        print(__version__)
        return 0
    import gc

    gc.disable()  # nothing that start-up makes is garbage; `commands` turns it on again
    from runtime.app.shadows import shadowed

    trouble = shadowed()
    if trouble:
        print(f"twinstep: {trouble}", file=sys.stderr)
        return 1
    from runtime.app.commands import run

    return run(given)


def _wants_version(given: Sequence[str]) -> bool:
    """Whether the version is asked for, wherever that stands, as with the peer. Rarer spellings go to the parser."""
    words = given[: given.index("--")] if "--" in given else given
    return any(
        word in ("--version", "-v") and words[place : place + 1] != ["false"] for place, word in enumerate(words, 1)
    )


if __name__ == "__main__":
    sys.exit(main())
