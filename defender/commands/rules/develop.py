"""Rules about repositories, packages, databases and clouds: work that is lost, code that runs while it is installed."""

import re
from typing import TYPE_CHECKING, Final

from defender.commands.calls import operands
from defender.commands.marks import ITEM, holed
from defender.commands.rules import BLOCK, REVIEW, Rule

if TYPE_CHECKING:
    from defender.commands.calls import Call
    from defender.commands.scope import Scope

_GIT: Final = r"^git (?:(?:-c ?\S+|-C ?\S+|--git-dir[= ]\S+|--work-tree[= ]\S+|--config-env[= ]\S+|--exec-path=\S+|--no-pager|-p|-P|--namespace[= ]\S+|--bare|--no-replace-objects|--literal-pathspecs|--paginate|--no-optional-locks|--super-prefix[= ]\S+|--attr-source[= ]\S+) )*"
_DASHED: Final = re.compile(r"^-")


def _letters(words: list[str], takes: str) -> str:
    """Return the letters of short options; behind one of `takes` its value begins."""
    found = ""
    for word in words:
        if word == "--":
            break
        if len(word) > 1 and word[0] == "-" and word[1] != "-":
            for letter in word[1:]:
                found += letter
                if letter in takes:
                    break
    return found


def _checkout(call: "Call", scope: "Scope") -> bool:
    found = re.search(rf"{_GIT}checkout (.*)", call.line)
    if not found:
        return False
    words = found[1].split()
    letters = _letters(words, "bBtU")
    if (
        "f" in letters
        or "p" in letters
        or any(
            word in {"--force", "--ours", "--theirs", "--patch"} or word.startswith("--pathspec-from-file")
            for word in words
        )
    ):
        return True
    if {"b", "B", "d"} & set(letters) or any(word in {"--orphan", "--help", "--detach"} for word in words):
        return False
    if "--" in words:
        return words.index("--") < len(words) - 1
    valued = {"--conflict", "--inter-hunk-context", "--unified", "-U", "--recurse-submodules"}
    plain = [
        word
        for at, word in enumerate(words)
        if (word[0] != "-" or word == "-") and not (at and words[at - 1] in valued and len(words) < at + 3)
    ]
    return len(plain) > 1 or plain == ["."]


def _switch(call: "Call", scope: "Scope") -> bool:
    found = re.search(rf"{_GIT}switch (.*)", call.line)
    if not found:
        return False
    words = found[1].split()
    return "f" in _letters(words, "cCt") or any(
        word.startswith(("--force", "--disc")) and word != "--force-create" for word in words
    )


def _restore(call: "Call", scope: "Scope") -> bool:
    found = re.search(rf"{_GIT}restore (.*)", call.line)
    if not found or "--help" in found[1]:
        return False
    words = found[1].split()
    staged = any(word in {"--staged", "-S"} or re.fullmatch(r"-[a-zA-Z]*S[a-zA-Z]*", word) for word in words)
    tree = any(word in {"--worktree", "-W"} or re.fullmatch(r"-[a-zA-Z]*W[a-zA-Z]*", word) for word in words)
    return tree or not staged


def _strange_index(call: "Call", scope: "Scope") -> bool:
    found = re.search(
        r"(--index-url|--extra-index-url|--registry|-i|--find-links|-f|--source)[= ](https?://\S+)", call.line
    )
    return (
        bool(found)
        and re.search(
            r"//(pypi\.org|files\.pythonhosted\.org|test\.pypi\.org|download\.pytorch\.org|registry\.npmjs\.org|registry\.yarnpkg\.com|rubygems\.org|static\.crates\.io|localhost|127\.)",
            found[2] if found else "",
        )
        is None
    )


def _from_address(call: "Call", scope: "Scope") -> bool:
    return any(
        re.match(r"(git\+)?(http|ftp)s?://|git\+ssh://", word)
        and not re.search(r"//(github|gitlab|bitbucket)\.(com|org)/", word)
        for word in operands(call.args)
    )


RULES: Final = (
    Rule(
        "command.git-reset",
        "git",
        REVIEW,
        0.785,
        "Work that is not committed is lost.",
        "git reset --hard",
        "git reset HEAD notes",
        pattern=_GIT + r"reset\b.* (--hard|--har|--ha|--merge|--keep|--h)\b",
    ),
    Rule(
        "command.git-clean",
        "git",
        REVIEW,
        0.785,
        "Files that git does not know are lost.",
        "git clean -fdx",
        "git clean -n",
        pattern=_GIT
        + r"clean\b(?!.* (-\w*n|--dry-run)(?!.* (-\w*f|--force)\b.*clean))(?=.* (-\w*[fxX]|--force))(?!.* (--dry-run|-\w*n\w*)\b)",
    ),
    Rule(
        "command.git-wipe",
        "git",
        BLOCK,
        0.9,
        "All work that is not committed is lost.",
        "git reset --hard && git clean -fdx",
        "git clean -n",
        pattern=_GIT + r"clean -\w*(?=\w*f)(?=\w*d)(?=\w*x)\w+",
        test=lambda call, scope: bool(scope.values.get("git reset")),
    ),
    Rule(
        "command.git-checkout",
        "git",
        REVIEW,
        0.78,
        "Changes in the files are lost.",
        "git checkout -- notes",
        "git checkout -b work",
        test=_checkout,
    ),
    Rule(
        "command.git-restore",
        "git",
        REVIEW,
        0.78,
        "Changes in the files are lost.",
        "git restore notes",
        "git restore --staged notes",
        test=_restore,
    ),
    Rule(
        "command.git-switch",
        "git",
        REVIEW,
        0.78,
        "Changes in the files are lost.",
        "git switch -f main",
        "git switch main",
        test=_switch,
    ),
    Rule(
        "command.git-force-push",
        "git",
        REVIEW,
        0.785,
        "Writes over the work of others.",
        "git push --force origin main",
        "git push origin main",
        pattern=_GIT + r"push\b.* (-\w*[fd]\w*|--force|--mirror|--delete|--prune|\+\S+|:\S+)(?=\s|$)",
    ),
    Rule(
        "command.git-branch-lost",
        "git",
        REVIEW,
        0.78,
        "Removes a branch whether or not it was merged.",
        "git branch -D work",
        "git branch -d work",
        pattern=_GIT + r"branch\b.* (-\w*D|--delete.* --force|-d -f|-df|-fd|--force.* (--delete|-d)|-M)\b",
    ),
    Rule(
        "command.git-stash-lost",
        "git",
        REVIEW,
        0.78,
        "Removes what was put aside.",
        "git stash drop",
        "git stash list",
        pattern=_GIT + r"stash (drop|clear)",
    ),
    Rule(
        "command.git-worktree-lost",
        "git",
        REVIEW,
        0.78,
        "Removes a folder of work whether or not it was committed.",
        "git worktree remove --force x",
        "git worktree list",
        pattern=_GIT + r"worktree remove (?!-- ).*(-\w*f\w*|--force)\b",
    ),
    Rule(
        "command.git-history-lost",
        "git",
        REVIEW,
        0.78,
        "Removes or rewrites what was committed.",
        "git filter-branch --all",
        "git log",
        pattern=_GIT
        + r"(filter-branch|filter-repo|reflog (expire|delete)|update-ref -d|gc\b.*--prune=(now|all)|prune\b|rm\b.* -\w*f|replace -d|tag -d|tag --delete|push --tags --force|symbolic-ref|read-tree .*-\w*u|checkout-index\b.* -\w*f.* -\w*a$)",
    ),
    Rule(
        "command.git-hooks-path",
        "git",
        BLOCK,
        0.92,
        "Every repository would run programs of that folder.",
        "git config --global core.hooksPath ~/hooks",
        "git config user.name x",
        pattern=r"config .*(--global|--system).*core\.(hooksPath|hookspath|sshCommand|fsmonitor|pager|editor)\b.* \S",
    ),
    Rule(
        "command.git-unsafe",
        "git",
        REVIEW,
        0.72,
        "Loosens what git guards.",
        "git config --global http.sslVerify false",
        "git config user.name x",
        pattern=r"sslVerify[= ]false|protocol\.ext|safe\.directory[= ]?\*|--no-verify|--allow-unrelated|transfer\.fsck",
    ),
    Rule(
        "command.package-http",
        "npm pnpm yarn pip pip3 gem cargo go uv pipx easy_install python python3 apt-get apt dpkg rpm brew",
        BLOCK,
        0.9,
        "Installs a package from a strange address.",
        "npm install http://example.com/p.tgz",
        "npm install left-pad",
        test=_from_address,
        pattern=r"\b(install|add|i|download|-i|wheel|-U|get)\b",
    ),
    Rule(
        "command.package-index",
        "npm pnpm yarn pip pip3 gem uv pipx python python3 cargo",
        BLOCK,
        0.9,
        "Installs packages from a strange index.",
        "pip install --index-url http://example.com/simple pkg",
        "pip install pkg",
        test=_strange_index,
        pattern=r"\b(install|add|i|download|sync)\b",
    ),
    Rule(
        "command.package-unchecked",
        "apt apt-get yum dnf zypper pip pip3 rpm npm pacman apk curl wget",
        REVIEW,
        0.62,
        "Installs or fetches without looking at signatures.",
        "apt-get install --allow-unauthenticated x",
        "apt-get install x",
        pattern=r"--allow-unauthenticated|--nogpgcheck|--no-gpg-checks|--trusted-host|--force-yes|--nosignature|--allow-untrusted|strict-ssl[= ]false|--no-check-certificate| -k |--insecure",
    ),
    Rule(
        "command.package-removed",
        "apt apt-get dpkg yum dnf rpm pacman apk brew zypper pkg",
        REVIEW,
        0.66,
        "Removes packages.",
        "apt-get purge x",
        "apt-get install x",
        pattern=r"\b(remove|purge|autoremove|erase|uninstall|delete|-e|-R\w*|-P|--purge)\b",
    ),
    Rule(
        "command.key-so",
        "ssh-keygen ssh-add ssh openssl pkcs11-tool",
        BLOCK,
        0.92,
        "Loads a library as code.",
        "ssh-keygen -D /tmp/x.so",
        "ssh-keygen -t ed25519",
        pattern=r"^ssh-keygen .*-D ?\S*(\.so|/tmp|\.dylib)|^ssh-add .*-s ?\S*\.so|^ssh .*-I ?\S*\.so|^openssl .*-engine ?\S*[./]\S*|--module \S*/tmp",
    ),
    Rule(
        "command.database-dropped",
        "psql mysql mariadb sqlite3 mongo mongosh redis-cli cqlsh sqlcmd clickhouse-client dropdb dropuser mysqladmin influx",
        BLOCK,
        0.93,
        "Removes a database or a table.",
        "psql -c 'DROP DATABASE prod'",
        "psql -c 'SELECT 1'",
        pattern=r"(?i)\bdrop\s+(database|schema|table|user|keyspace|role)\b|dropDatabase|\btruncate\s+table\b|flush(all|db)\b|^dropdb .*(-f|--force|--if-exists|prod)|^mysqladmin .*drop",
    ),
    Rule(
        "command.database-changed",
        "psql mysql mariadb sqlite3 mongo mongosh dropdb dropuser redis-cli",
        REVIEW,
        0.7,
        "Changes or removes data.",
        "psql -c 'DELETE FROM users'",
        "psql -c 'SELECT 1'",
        pattern=r"(?i)\bdelete\s+from\b|\bupdate\s+\w+\s+set\b|\balter\b|\bgrant\b|^drop(db|user) |config set|shutdown",
    ),
    Rule(
        "command.cloud-dropped",
        "aws gcloud az terraform tofu pulumi kubectl oc helm doctl heroku fly flyctl linode-cli oci eksctl gsutil s3cmd rclone serverless cdk vault nomad vercel netlify wrangler gh ibmcloud",
        BLOCK,
        0.9,
        "Removes what runs elsewhere.",
        "aws s3 rb s3://bucket --force",
        "aws s3 ls",
        pattern=r"^aws .*s3 (rb .*--force|rm .*--recursive)|^(terraform|tofu|pulumi|cdk|serverless) .*destroy.*(-auto-approve|--auto-approve|--yes|-y|--force)|^(kubectl|oc) delete (ns|namespace|all|nodes?|pv|crd)\b.*(--all|\S+)|^(kubectl|oc) delete .*--all\b|^gcloud projects delete|^az group delete .*(--yes|-y)|^gsutil .*rm .*-r.* gs://|^rclone (purge|delete)|^gh repo delete .*--(yes|confirm)|^vault .*delete|^heroku apps:destroy .*--confirm|^s3cmd .*(rb|del) .*(-r|--force|--recursive)",
    ),
    Rule(
        "command.cloud-removed",
        "aws gcloud az terraform tofu pulumi kubectl oc helm doctl heroku flyctl gh oci ibmcloud docker podman",
        REVIEW,
        0.56,
        "Removes something that runs elsewhere.",
        "kubectl delete pod x",
        "kubectl get pods",
        pattern=r"(?<!-)\b(delete|destroy|rm|remove|terminate|purge|uninstall|drain|deregister|prune|rmi|kill)\b|\b(delete|terminate|remove|deregister|disable|stop|detach|revoke)-[a-z]",
    ),
    Rule(
        "command.cloud-guard-off",
        "aws gcloud az",
        REVIEW,
        0.79,
        "Switches off the record of what happens there.",
        "aws cloudtrail stop-logging --name x",
        "aws cloudtrail describe-trails",
        pattern=r"cloudtrail (stop|delete|put-event|update)|guardduty (delete|update|stop|disassociate)|configservice (stop|delete)|delete-(flow-logs|log-group|log-stream|alarms|detector)|put-retention|stop-logging|securityhub disable|logging sinks (delete|update)|diagnostic-settings delete|monitor .*delete|eventhubs .*delete",
    ),
    Rule(
        "command.cloud-rights",
        "aws gcloud az kubectl oc vault",
        REVIEW,
        0.76,
        "Changes who may do what there, or reads keys.",
        "aws iam create-access-key --user-name x",
        "aws iam list-users",
        pattern=r"iam (roles |service-accounts )?(create|attach|put|add|update|set|delete)|sts (assume|get-session|get-federation)|add-iam-policy|service-accounts keys create|get-(password|secret)|secretsmanager get|ssm get-parameter|role assignment create|ad (user|sp|app) |create (clusterrolebinding|rolebinding|serviceaccount|token)|get secrets?\b|snapshot create|create-snapshot|snapshots create|modify-snapshot|ec2-instance-connect|get-access-token|print-access-token|dump|describe secret|auth can-i",
    ),
    Rule(
        "command.cloud-look",
        "aws gcloud az kubectl",
        REVIEW,
        0.53,
        "Lists what runs elsewhere.",
        "aws s3api list-objects-v2 --bucket x",
        "aws --version",
        pattern=r"\b(list|describe|get)-|get-caller-identity|sts ",
    ),
    Rule(
        "command.items-removed",
        "rm git shred unlink dd find truncate chmod chown mv bash sh",
        REVIEW,
        0.76,
        "Removes or changes what nobody has seen by name.",
        "cat list | xargs rm",
        "rm notes",
        test=lambda call, _: call.how in {"xargs", "parallel"} and any(ITEM in arg or holed(arg) for arg in call.args),
    ),
    Rule(
        "command.make-shell",
        "make gmake",
        REVIEW,
        0.74,
        "Make would run a text of the command line.",
        "make --eval 'x:;id'",
        "make test",
        pattern=r"--eval|\$\(shell|SHELL=|-s --eval",
    ),
    Rule(
        "command.escape",
        "awk gawk find vim vi man less more ftp gdb nmap perl tclsh ed expect script env php ruby lua emacs zip cpan gem irb docker mysql sqlite3 tar dmsetup nsenter unshare setarch taskset nice ionice stdbuf time timeout strace ltrace flock logsave start-stop-daemon rlwrap xargs watch git ssh",
        REVIEW,
        0.79,
        "Starts a shell from inside of another program.",
        "find . -exec /bin/sh \\;",
        "find . -name x",
        pattern=r"(?: -exec\w* | -ok | BEGIN|system\(|\bexec[ (]|!|\.shell |--interactive | -[a-zA-Z]*[eci] | -- | \d+\w? |^(?:nsenter|unshare|setarch|taskset|nice|ionice|stdbuf|time|timeout|strace|ltrace|flock|rlwrap|xargs|watch|env|expect|docker|logsave)(?: -\S+)* )[\s\"'{(=]*(?:/usr)?(?:/bin/)?(?:ba|z|da|k)?sh\b(?!\.)|^nmap --interactive|!/?(?:bin/)?\w*sh\b",
    ),
)
_ = _DASHED
