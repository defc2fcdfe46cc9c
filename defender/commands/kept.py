"""Files that may be written without a question: inside of the folder of the work, and nothing that runs later.

Refused: paths from the root or the home, `..`, hidden names, folders of programs and hooks, names and endings of what
is run or says how things are run. What the text of the command itself dictates (`echo x > a.txt`) is for a person: only
what was worked out of files of the folder may be kept.
"""

import re
from typing import TYPE_CHECKING, Final

from defender.commands.marks import DECODED, ITEM, NETWORK, SECRET, marked, without
from defender.commands.scope import FOLDER

if TYPE_CHECKING:
    from defender.commands.scope import Scope

_CODE: Final = re.compile(
    r"\.(ba|z|k|c|tc|fi|da)?sh$|\.(py[wcdxi]?|pth|pl|pm|rb|rake|gemspec|[cm]?[jt]sx?|vue|svelte|php\d?|phtml|phar|lua|tcl|awk|sed|R|jl|exs?|erl|go|rs|java|kts?|scala|groovy|clj|swift"
    r"|so(\.\d+)*|dylib|dll|exe|com|msi|bat|cmd|ps[dm]?1|vb[se]?|wsf|hta|jar|war|class|wasm|ko|o|a|deb|rpm|apk|AppImage|run|bin|desktop|service|timer|socket|path|target|mount|plist|rules"
    r"|conf|cfg|ini|toml|ya?ml|properties|env|rc|mk|mak|cmake|gradle|am|ac|in|m4|nix|tf|tfvars|hcl|sql|el|vim|ipynb|key|pem|crt|lock|htaccess|jsp|aspx?|cgi|reg|inf|scr|lnk|code-workspace)$",
    re.IGNORECASE,
)
_NAMES: Final = re.compile(
    r"(gnu)?makefile.*|dockerfile.*|containerfile|jenkinsfile|vagrantfile|rakefile|gemfile|procfile|justfile|brewfile|pipfile|podfile|fastfile|snakefile|sconstruct|tiltfile|earthfile|caddyfile"
    r"|configure|gradlew|mvnw|run|build|install|test|setup|start|bootstrap|autogen|hooks?|(pre|post|commit|prepare|applypatch|update|push)-[\w-]+|crontab|sudoers|passwd|shadow|hosts|authorized_keys|known_hosts|id_\w+|config|head|index"
    r"|package(-lock)?\.json|composer\.json|deno\.json|tsconfig.*\.json|bower\.json|lerna\.json|nx\.json|turbo\.json|project\.json|angular\.json|launch\.json|tasks\.json|settings\.json|devcontainer\.json|manifest\.json|babel.*\.json|\w*rc|\w*rc\.json"
    r"|requirements.*\.txt|constraints.*\.txt|cmakelists\.txt|agents\.md|claude\.md|gemini\.md|skill\.md|memory\.md|soul\.md|cursorrules|codeowners|pom\.xml|build\.xml|ant\.xml|.*\.csproj|.*\.(sln|vcxproj|props|targets|xsl|xslt)",
    re.IGNORECASE,
)
_FOLDERS: Final = re.compile(
    r"(^|/)(s?bin|hooks|scripts?|tools?|ci|node_modules|site-packages|venv|cron[\w.]*|init\.d|systemd|autostart)(/|$)",
    re.IGNORECASE,
)


def inside(word: str) -> bool:
    """Whether a path stays in the folder of the work, and is not hidden."""
    plain = word.removeprefix(f"{FOLDER}/").replace(ITEM, "x")
    if plain in {".", "./"}:
        return True
    return (
        bool(plain)
        and plain[0] not in "/~-"
        and not marked(plain[:1])
        and ".." not in plain
        and ":" not in plain  # a host, to tar and rsync
        and "/." not in f"/{plain.removeprefix('./')}"
    )


def data(word: str) -> bool:
    """Whether a path inside of the folder names neither code nor settings."""
    name = word.rstrip("/").rsplit("/", 1)[-1]
    return (
        inside(word)
        and not marked(word)
        and not any(sign in word for sign in "*?[")
        and not _CODE.search(name)
        and not _NAMES.fullmatch(name)
        and not _FOLDERS.search(word.removeprefix(f"{FOLDER}/"))
    )


def at_work(scope: "Scope") -> bool:
    """Whether relative paths stay in the folder of the work, and no link was made that leads out of it."""
    return (scope.folder == FOLDER or scope.folder.startswith(f"{FOLDER}/")) and "made links" not in scope.values


def derived(text: str | None) -> bool:
    """Whether a text was worked out of files: nothing of it stands in the command, comes from afar or is a secret."""
    return text is None or not (without(text).strip() or SECRET in text or NETWORK in text or DECODED in text)
