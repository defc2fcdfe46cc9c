"""The environment that decides what runs in this process or its children. Keeps hashes of values, never the values.

A variable that is set now, and was not, or was something else, when the baseline was made, is drift. One that is not
set any more is none: a service has fewer of them than a terminal.
"""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Final

from defender.integrity.entries import Change, Group

NAMES: Final[Mapping[str, str]] = {
    "PYTHONPATH": "modules are looked for there first",
    "PYTHONHOME": "the standard library is taken from there",
    "PYTHONSTARTUP": "an interactive Python runs that file",
    "PYTHONUSERBASE": "the user's packages are taken from there",
    "PYTHONPYCACHEPREFIX": "byte code is taken from there",
    "PYTHONPLATLIBDIR": "the standard library is taken from there",
    "PYTHONEXECUTABLE": "Python takes that for its own path",
    "PYTHONBREAKPOINT": "breakpoint() calls that",
    "PYTHONINSPECT": "Python stays open after the program",
    "BASH_ENV": "every shell script runs that file first",
    "ENV": "sh runs that file first",
    "SHELLOPTS": "shells take options from it",
    "BASHOPTS": "shells take options from it",
    "PROMPT_COMMAND": "an interactive shell runs that",
    "IFS": "shells split words by it",
    "NODE_OPTIONS": "every Node program takes options from it",
    "NODE_PATH": "Node modules are looked for there",
    "PERL5OPT": "every Perl program takes options from it",
    "PERL5LIB": "Perl modules are looked for there",
    "RUBYOPT": "every Ruby program takes options from it",
    "RUBYLIB": "Ruby modules are looked for there",
    "JAVA_TOOL_OPTIONS": "every Java program takes options from it",
    "GIT_EXEC_PATH": "git takes its programs from there",
    "GIT_SSH_COMMAND": "git runs that to connect",
    "GIT_CONFIG_GLOBAL": "git takes its settings from there",
    "SSL_CERT_FILE": "certificates are trusted by it",
    "SSL_CERT_DIR": "certificates are trusted by it",
    "SSLKEYLOGFILE": "keys of TLS connections are written there",
    "OPENSSL_CONF": "OpenSSL loads what it names",
    "OPENSSL_MODULES": "OpenSSL loads modules from there",
    "GLIBC_TUNABLES": "it changes how programs are loaded",
    "GCONV_PATH": "the C library loads code from there",
}
"""Names, and what they decide. Those of the loader are told by their beginning."""
LOADER: Final = ("LD_", "DYLD_")


def of(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that matter, each with the hash of its value."""
    return {
        name: sha256(value.encode("utf-8", "surrogateescape")).hexdigest()
        for name, value in environ.items()
        if value and (name in NAMES or name.startswith(LOADER))
    }


def compared(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Change]:
    """Yield what is set now and was not, or was something else."""
    for name in sorted(now):
        if before.get(name) != now[name]:
            how = "has another value" if name in before else "is set"
            what = NAMES.get(name, "the loader of programs obeys it")
            group = Group.LOADED if name.startswith(LOADER) else Group.ENVIRONMENT
            yield Change(f"${name}", group, f"{how} since the baseline; {what}")
