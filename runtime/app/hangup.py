"""SIGHUP of a daemon before anybody can obey it, which would end the process. Imports nothing that takes long."""

import signal

from attrs import define


@define(eq=False)
class Hangup:
    """Notes the signal: before the daemon has a handler of its own, and after that is gone."""

    came: bool = False

    def install(self) -> None:
        """Take over the signal. Where it is ignored (`nohup`) it stays ignored until the daemon obeys it."""
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            signal.signal(signal.SIGHUP, self._arrived)

    def _arrived(self, number: int, frame: object) -> None:
        self.came = True
