"""The environment of a command of `exec`: the gateway's own, without its secrets, and what the call sets.

A call may not set a variable by which a program is made to run or load another one, or to trust somebody else; the
list is ours, the words of the refusal are OpenClaw's. Reads no environment of its own.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
FORBIDDEN: Final = frozenset(
    "ALL_PROXY ANT_OPTS BASHOPTS BASH_ENV BROWSER CARGO_HOME CC CDPATH CLASSPATH CPP CURL_CA_BUNDLE CURL_HOME CXX "
    "DOTNET_ADDITIONAL_DEPS DOTNET_STARTUP_HOOKS EDITOR EMACSLOADPATH ENV EXINIT FPATH GCONV_PATH GLIBC_TUNABLES "
    "GRADLE_OPTS HGEDITOR HGRCPATH HOME HTTPS_PROXY HTTP_PROXY IFS JAVA_OPTS JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS "
    "KUBECONFIG LESSCLOSE LESSOPEN LOCPATH LUA_INIT MAKE MAKEFLAGS MANPAGER MAVEN_OPTS NODE_EXTRA_CA_CERTS "
    "NODE_OPTIONS NODE_PATH NODE_TLS_REJECT_UNAUTHORIZED OPENSSL_CONF OPENSSL_ENGINES PAGER PATH PERL5DB PERL5LIB "
    "PERL5OPT PHPRC PROMPT_COMMAND PS4 PYTHONBREAKPOINT PYTHONHOME PYTHONPATH PYTHONSTARTUP PYTHONUSERBASE "
    "REQUESTS_CA_BUNDLE RUBYLIB RUBYOPT RUSTFLAGS SBT_OPTS SHELL SHELLOPTS SSH_ASKPASS SSLKEYLOGFILE SUDO_ASKPASS "
    "SUDO_EDITOR SVN_SSH VIMINIT VISUAL WGETRC ZDOTDIR _JAVA_OPTIONS".split()
)
PREFIXES: Final = (
    "BASH_FUNC_",
    "CARGO_BUILD_",
    "DOCKER_",
    "DYLD_",
    "GIT_",
    "LD_",
    "NPM_CONFIG_",
    "OPENCLAW_",
    "PIP_",
    "RUSTC",
    "RUSTUP_",
    "SSL_CERT_",
    "TWINSTEP_",
    "UV_",
)
OWN: Final = frozenset({"OPENCLAW_GATEWAY_TOKEN", "OPENCLAW_GATEWAY_PASSWORD"})
"""Secrets of the gateway, by which whoever has them could command it."""
ADDED: Final = {"OPENCLAW_SHELL": "exec"}


def refusal(given: Mapping[str, Any]) -> str | None:
    """Return the sentence that refuses these variables, or None."""
    names = list(given)
    strange = [name for name in names if not NAME.fullmatch(name)]
    blocked = [name for name in names if name not in strange and forbidden(name)]
    if not strange and len(blocked) == 1:
        what = "Custom 'PATH' variable" if blocked[0].upper() == "PATH" else f"Environment variable '{blocked[0]}'"
        return f"Security Violation: {what} is forbidden during host execution."
    parts = [f"blocked override keys: {', '.join(blocked)}"] if blocked else []
    if strange:
        parts.append(f"invalid non-portable override keys: {', '.join(strange)}")
    return f"Security Violation: {'; '.join(parts)}." if parts else None


def forbidden(name: str) -> bool:
    """Whether a call may not set this variable."""
    upper = name.upper()
    return upper in FORBIDDEN or upper.startswith(PREFIXES)


def environment(base: Mapping[str, str], given: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment of a command; `given` was not refused."""
    kept = {name: value for name, value in base.items() if name not in OWN}
    return {**kept, **ADDED, **{name: _text(value) for name, value in given.items()}}


def _text(value: object) -> str:
    return (
        value if isinstance(value, str) else ("true" if value else "false") if isinstance(value, bool) else str(value)
    )
