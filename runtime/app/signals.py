"""Signals that end a run: the first stops it where it is, a second ends the process at once, with its last word.

Nothing that the run had started outlives the second (`forsake`).

The handlers are there before Trio runs and stay until the last word is written, so no signal is lost in between.
"""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import trio
from attrs import define

EXIT_CODES: Final = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@define(eq=False)
class Stop:
    """Notes the first signal (`number`, 0 before) and tells `act` of it in the Trio thread.

    Before a second signal ends the process, `forsake` kills what the run has started, and `last_word` is called once.
    """

    last_word: Callable[[int], None]
    forsake: Callable[[], None]
    number: int = 0
    _token: trio.lowlevel.TrioToken | None = None
    _act: Callable[[int], None] | None = None
    _ending: bool = False

    def install(self) -> None:
        """Take over the signals of EXIT_CODES. One that is ignored (`nohup`) stays ignored."""
        for number in EXIT_CODES:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._arrived)

    def bind(self, act: Callable[[int], None]) -> None:
        """Call `act` in this Trio run when a signal comes; at once if one has come already."""
        self._act = act
        self._token = trio.lowlevel.current_trio_token()
        if self.number:
            act(self.number)

    def _arrived(self, number: int, frame: object) -> None:
        if not self.number:
            self.number = number
            if self._token is not None and self._act is not None:
                with suppress(trio.RunFinishedError):
                    self._token.run_sync_soon(self._act, number)
            return
        try:
            self.forsake()
            if not self._ending:
                self._ending = True
                self.last_word(self.number)
        finally:
            os._exit(EXIT_CODES[signal.Signals(self.number)])
