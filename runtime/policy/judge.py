"""The judge of the gateway's sessions until the defender lands: the permission mode of each session decides.

What a mode allows runs; what it would ask a person about is asked. A session that nobody knows is refused everything.
"""

from collections.abc import Callable

from attrs import frozen

from runtime.policy.permission import HERE, Host, verdict
from runtime.ports import Asked
from runtime.provenance import Provenance
from runtime.step.events import Settings
from runtime.vocab import Decision, JsonObject, Message, ToolResult, ToolSpec, Verdict


@frozen
class PermissionJudge:
    """`settings` returns how a session runs, None for one that nobody knows; `host` is what holds on this machine.

    `admits` says whether the gateway's settings leave a tool at all.
    """

    settings: Callable[[str], Settings | None]
    host: Host = HERE
    admits: Callable[[str], bool] = lambda name: True

    def offers(self, spec: ToolSpec) -> bool:
        """Whether the model is told of a tool: the settings leave it. What may run is decided call by call."""
        return self.admits(spec.name)

    async def screen(self, session: str, message: Message) -> Verdict:
        """Let every message in: the gateway has authenticated who sent it."""
        return Verdict(Decision.ALLOW, "gateway.authenticated")

    async def call(self, session: str, asked: Asked) -> Verdict:
        """Decide about one call by the mode of its session."""
        spec = asked.spec
        settings = self.settings(session)
        if settings is None:
            return Verdict(Decision.BLOCK, "permission.unknown", "The session is not known.")
        if not self.admits(spec.name):  # it was on offer before the settings changed
            return Verdict(Decision.BLOCK, "settings.tools", f"The settings of the gateway do not allow {spec.name}.")
        return verdict(settings.mode, spec.name, asked.args, settings.workspace, self.host)

    async def result(
        self, session: str, spec: ToolSpec, args: JsonObject, result: ToolResult, provenance: Provenance
    ) -> Verdict:
        """Let every result join."""
        return Verdict(Decision.ALLOW, "gateway.authenticated")

    async def reply(self, session: str, text: str) -> Verdict:
        """Let every reply out."""
        return Verdict(Decision.ALLOW, "gateway.authenticated")
