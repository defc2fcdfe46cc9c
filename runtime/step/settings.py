"""How a session runs, as a frozen value. It enters a session with an event, so it replays with it."""

from functools import cached_property

from attrs import astuple, frozen

from runtime.vocab import digest, encode


@frozen
class Settings:
    """How a session runs. Enters with `Opened`, so it replays with it.

    `max_turns` is a number of turns a prompt may take (-1: any). `max_attempts` bounds the tries of one request.
    `compress_at` is a number of prompt tokens (0: never). `hooks` names the hook events that have a listener.
    `interactive` says whether a person can be asked. `go_on` is said to a model whose answer was empty, as a message of
    its own; where it is not set, a sentence is added to the last message. `thinking` is how
    much the model is asked to think (`runtime.model.thinking`), nothing for its usual.
    """

    model: str
    mode: str = "default"
    workspace: str = ""
    interactive: bool = False
    max_turns: int = -1
    max_attempts: int = 10
    compress_at: int = 0
    hooks: tuple[str, ...] = ()
    go_on: str = ""
    thinking: str = ""

    @cached_property
    def digest(self) -> bytes:
        """Digest of all members. One that came later counts where it is set, so that older journals stay good."""
        members = astuple(self)
        return digest(encode(members if self.thinking else members[:-1] if self.go_on else members[:-2]))
