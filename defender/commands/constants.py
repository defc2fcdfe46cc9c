"""What a command would print, where that follows from its words and its input alone. Nothing is run.

Decoders are followed because whoever hides a command encodes it: `echo … | base64 -d | sh`. What is not constant is a
mark that says where it comes from; a filter that is not simulated passes its input on with "unknown" behind it, so that
a command inside of it is still seen.
"""

import base64
import binascii
import posixpath
import re
import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from defender.commands.calls import Call, flags, operands, option
from defender.commands.marks import DECODED, NETWORK, SECRET, UNKNOWN, marked, tags
from defender.commands.scope import MOST_TEXT
from defender.commands.words import unescape

if TYPE_CHECKING:
    from defender.commands.reader import Reader

_FORMAT: Final = re.compile(r"%[-+ #0]*\d*(?:\.\d+)?([sbdiuxXocq%])")
_SED: Final = re.compile(r"s(.)((?:\\.|(?!\1).)*)\1((?:\\.|(?!\1).)*)\1(g?)")
NETWORKED: Final = frozenset(
    "curl wget fetch nc ncat netcat socat telnet ftp tftp lftp aria2c axel lynx links w3m elinks http https xh httpie"
    " dig nslookup host drill whois ssh openssl GET POST lwp-request lwp-download iwr invoke-webrequest finger scp sftp"
    " gsutil s3cmd rclone hurl wget2 curlie websocat rsync smbclient ipfs".split()
)
"""Programs that fetch."""
_FILTERS: Final = frozenset(
    "grep egrep fgrep sort uniq tac nl fold fmt pv sponge awk gawk mawk sed perl python python3".split()
)


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _given(reader: "Reader", call: Call, names: Sequence[str]) -> str:
    """The text of the files named, or of the input where none is."""
    if names and list(names) != ["-"]:
        return "".join(reader.content(name) if name != "-" else call.stdin or UNKNOWN for name in names)
    return UNKNOWN if call.stdin is None else call.stdin


def _decoded(text: str, how: Callable[[str], bytes]) -> str:
    if marked(text):
        return DECODED + tags(text)
    try:
        return _text(how(text[:MOST_TEXT]))
    except (ValueError, binascii.Error, OverflowError):
        return DECODED


def _base64(text: str) -> bytes:
    plain = re.sub(r"[^A-Za-z0-9+/]", "", text.replace("-", "+").replace("_", "/"))
    return base64.b64decode(plain + "=" * (-len(plain) % 4))


def _base32(text: str) -> bytes:
    plain = re.sub(r"[^A-Z2-7]", "", text.upper())
    return base64.b32decode(plain + "=" * (-len(plain) % 8))


def _hex(text: str) -> bytes:
    return bytes.fromhex(re.sub(r"[^0-9a-fA-F]", "", text))


def echo(reader: "Reader", call: Call) -> str:
    """Return what `echo` prints; escapes are worked out, as some shells do without being asked."""
    args, newline, escapes = list(call.args), "\n", True
    while args and re.fullmatch(r"-[neE]+", args[0]):
        newline = "" if "n" in args[0] else newline
        args.pop(0)
    text = " ".join(args)
    return (unescape(text) if escapes and "\\" in text else text) + newline


def printf(reader: "Reader", call: Call) -> str:
    """Return what `printf` prints, and set the variable of `-v`."""
    args = list(call.args)
    name = ""
    if args[:1] == ["-v"]:
        name, args = (args[1] if len(args) > 1 else ""), args[2:]
    if args[:1] == ["--"]:
        args = args[1:]
    if not args:
        return ""
    shape, rest = unescape(args[0]), args[1:]
    out = []
    for _ in range(64):
        wanted = rest

        def one(found: re.Match[str]) -> str:
            nonlocal wanted
            kind = found[1]
            if kind == "%":
                return "%"
            value, wanted = (wanted[0], wanted[1:]) if wanted else ("", [])
            if kind in "sq":
                return value
            if kind == "b":
                return unescape(value)
            if kind == "c":
                return value[:1]
            try:
                number = int(value, 0) if value else 0
            except ValueError:
                return value
            return format(number, {"x": "x", "X": "X", "o": "o"}.get(kind, "d"))

        out.append(_FORMAT.sub(one, shape))
        if not wanted or wanted == rest:
            break
        rest = wanted
    text = "".join(out)[: MOST_TEXT + 1]
    if name:
        reader.scope.set(name, text)
        return ""
    return text


def cat(reader: "Reader", call: Call) -> str:
    """Return what the files hold, or the input."""
    return _given(reader, call, operands(call.args))


def tee(reader: "Reader", call: Call) -> str:
    """Return the input, after writing it to the files."""
    text = UNKNOWN if call.stdin is None else call.stdin
    for name in operands(call.args):
        reader.scope.write(name, text, append="a" in flags(call.args))
    return text


def base(reader: "Reader", call: Call) -> str:
    """Return what `base64` and `base32` print."""
    names = operands([arg for arg in call.args if not arg.startswith("-w")])
    names = [name for name in names if not name.isdigit()]
    text = _given(reader, call, names)
    if "d" in flags(call.args) or "D" in flags(call.args) or "--decode" in call.args or call.name.endswith("decode"):
        return _decoded(text, _base32 if "32" in call.name else _base64)
    if marked(text):
        return tags(text) + UNKNOWN
    return base64.b64encode(text.encode("utf-8", "replace")).decode() + "\n"


def openssl(reader: "Reader", call: Call) -> str:
    """Return what `openssl` decodes."""
    args = call.args
    if "-d" in args and ("base64" in args or "-base64" in args or "-a" in args):
        name = option(args, "-in")
        plain = not any(arg.startswith(("-aes", "-des", "-cam", "-pass", "-k")) for arg in args)
        text = _given(reader, call, [name] if name else [])
        return _decoded(text, _base64) if plain else DECODED
    if "s_client" in args:
        return NETWORK
    return DECODED if "-d" in args else UNKNOWN + tags(call.stdin or "")


def xxd(reader: "Reader", call: Call) -> str:
    """Return what `xxd` and its like print."""
    letters = flags(call.args)
    text = _given(reader, call, operands([arg for arg in call.args if not arg.isdigit()]))
    if "r" in letters:
        return _decoded(text, _hex)
    if marked(text):
        return tags(text) + UNKNOWN
    return text.encode("utf-8", "replace").hex() + "\n" if "p" in letters else UNKNOWN


def rev(reader: "Reader", call: Call) -> str:
    """Return each line reversed."""
    text = _given(reader, call, operands(call.args))
    return text if marked(text) else "\n".join(line[::-1] for line in text.split("\n"))


def _set(word: str) -> str:
    word = unescape(word)
    for name, chars in (
        ("[:upper:]", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        ("[:lower:]", "abcdefghijklmnopqrstuvwxyz"),
        ("[:digit:]", "0123456789"),
        ("[:space:]", " \t\n\r\v\f"),
        ("[:blank:]", " \t"),
    ):
        word = word.replace(name, chars)

    def spread(found: re.Match[str]) -> str:
        first, last = ord(found[1]), ord(found[2])
        return "".join(map(chr, range(first, min(last, first + 256) + 1)))

    return re.sub(r"(.)-(.)", spread, word, flags=re.DOTALL)


def tr(reader: "Reader", call: Call) -> str:
    """Return the input with its characters changed."""
    text = UNKNOWN if call.stdin is None else call.stdin
    if marked(text):
        return text
    sets = [_set(word) for word in operands(call.args)]
    if "d" in flags(call.args) and sets:
        return text.translate({ord(char): None for char in sets[0]}) if "c" not in flags(call.args) else text
    if len(sets) < 2 or not sets[1]:
        return text
    old, new = sets[0], sets[1].ljust(len(sets[0]), sets[1][-1])
    return text.translate({ord(a): b for a, b in zip(old, new, strict=False)})


def sed(reader: "Reader", call: Call) -> str:
    """Return the input after `s/…/…/`, where both sides are plain text."""
    words = operands(call.args)
    script = option(call.args, "-e", "--expression") or (words[0] if words else "")
    text = _given(reader, call, words[1:] if words and words[0] == script else words)
    found = _SED.fullmatch(script)
    if marked(text) or not found:
        return text + UNKNOWN if call.stdin and "n" not in flags(call.args) else UNKNOWN + tags(text)
    old, new, every = found[2], found[3], found[4]
    if re.search(r"[\\.*\[\]^$&]", old.replace("\\/", "/")) or "\\" in new.replace("\\/", "/") or "&" in new:
        return text + UNKNOWN
    old, new = old.replace("\\/", "/"), new.replace("\\/", "/")
    return "\n".join(line.replace(old, new, -1 if every else 1) if old else line for line in text.split("\n"))


def head(reader: "Reader", call: Call) -> str:
    """Return the first or the last of the input, where the count is of characters; else all of it."""
    count = option(call.args, "-c", "--bytes")
    names = [word for word in operands(call.args) if not re.fullmatch(r"[-+]?\d+[A-Za-z]*", word)]
    text = _given(reader, call, names)
    if count and count.lstrip("+").isdigit() and not marked(text):
        number = int(count.lstrip("+"))
        if call.name == "head":
            return text[:number]
        return text[number - 1 :] if count.startswith("+") else text[-number:]
    return text


def cut(reader: "Reader", call: Call) -> str:
    """Return characters or fields of each line."""
    text = UNKNOWN if call.stdin is None else call.stdin
    span = option(call.args, "-c", "-b")
    found = re.fullmatch(r"(\d+)?(-)?(\d+)?", span or "")
    if marked(text) or not span or not found:
        return text + UNKNOWN if not marked(text) and call.stdin else tags(text) + UNKNOWN
    first = int(found[1] or 1) - 1
    last = int(found[3]) if found[3] else (None if found[2] else first + 1)
    return "\n".join(line[first:last] for line in text.split("\n"))


def unpack(reader: "Reader", call: Call) -> str:
    """Return what a compressed text unpacks to."""
    names = [word for word in operands(call.args) if word != "-"]
    text = _given(reader, call, names)
    if marked(text):
        return text
    try:
        return _text(zlib.decompressobj(47).decompress(text.encode("latin-1"), MOST_TEXT))
    except (zlib.error, ValueError):
        return UNKNOWN + (DECODED if not names else "")


def basename(reader: "Reader", call: Call) -> str:
    """Return a part of a path."""
    words = operands(call.args)
    if not words or marked(words[0]):
        return UNKNOWN
    if call.name == "dirname":
        return posixpath.dirname(words[0].rstrip("/")) or "."
    plain = posixpath.basename(words[0].rstrip("/"))
    return plain.removesuffix(words[1]) if len(words) > 1 else plain


def which(reader: "Reader", call: Call) -> str:
    """Return where a program usually is."""
    words = operands(call.args)
    if not words or (call.name == "command" and not ({"v", "V"} & set(flags(call.args)))):
        return UNKNOWN
    return f"/usr/bin/{words[0]}\n"


def pwd(reader: "Reader", call: Call) -> str:
    """Return the folder."""
    return reader.scope.folder + "\n"


def seq(reader: "Reader", call: Call) -> str:
    """Return the one letter or number that a short `seq` prints."""
    return UNKNOWN


PRINTS: Final[dict[str, Callable[["Reader", Call], str]]] = {
    "echo": echo,
    "printf": printf,
    "print": echo,
    "cat": cat,
    "tee": tee,
    "base64": base,
    "gbase64": base,
    "base32": base,
    "b64decode": base,
    "openssl": openssl,
    "xxd": xxd,
    "rev": rev,
    "tr": tr,
    "sed": sed,
    "head": head,
    "tail": head,
    "cut": cut,
    "gunzip": unpack,
    "zcat": unpack,
    "basename": basename,
    "dirname": basename,
    "realpath": basename,
    "which": which,
    "command": which,
    "pwd": pwd,
    "seq": seq,
}
del PRINTS["realpath"]


def prints(reader: "Reader", call: Call) -> str:
    """Return what a simple command prints, as far as that is known."""
    name = call.name
    one = PRINTS.get(name)
    if one is not None:
        return one(reader, call)
    stdin = call.stdin or ""
    if name in NETWORKED:
        for path in (option(call.args, "-o", "--output"), option(call.args, "-O", "--output-document")):
            if path and path != "-":
                reader.scope.write(path, NETWORK)
        if name in {"curl", "wget"}:
            _named(reader, call)
        return NETWORK
    if name in {"gzip", "bzip2", "xz", "zstd", "lz4", "uncompress", "bzcat", "xzcat", "bunzip2", "unxz"}:
        return (
            unpack(reader, call)
            if name == "gzip" and ("d" in flags(call.args) or "--decompress" in call.args)
            else (UNKNOWN + tags(stdin))
        )
    if name in {"uudecode", "b64encode", "ascii85", "gpg", "unzip", "7z"}:
        return DECODED + tags(stdin) if name in {"uudecode"} or "-d" in call.args else UNKNOWN + tags(stdin)
    if name in {"cp", "mv", "install", "ln"}:
        _copied(reader, call)
        return ""
    if name in _FILTERS and stdin:
        return stdin + UNKNOWN if not marked(stdin) else stdin
    if name in {"security", "secret-tool", "pass", "printenv", "env", "gpg2", "op", "vault"}:
        return SECRET + UNKNOWN
    found = tags(stdin)
    for arg in call.args:
        if arg[:1] != "-" and ("/" in arg or "." in arg) and len(arg) < 400:
            found += tags(reader.content(arg))
    return UNKNOWN + found.replace(UNKNOWN, "")


def _named(reader: "Reader", call: Call) -> None:
    """Remember the file that a download is named by its address."""
    saves = call.name == "wget" or "O" in flags(call.args) or "--remote-name" in call.args
    if not saves:
        return
    for arg in operands(call.args):
        tail = arg.split("?")[0].rstrip("/").rsplit("/", 1)[-1]
        if tail and "/" in arg:
            reader.scope.write(tail, NETWORK)


def _copied(reader: "Reader", call: Call) -> None:
    words = operands(call.args)
    if len(words) == 2:
        text = reader.content(words[0])
        reader.scope.write(words[1], text)
        if words[1].endswith("/") or words[1] in {".", ".."}:
            reader.scope.write(f"{words[1]}/{words[0].rsplit('/', 1)[-1]}", text)
