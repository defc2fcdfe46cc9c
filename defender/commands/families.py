"""Families of programs that only look, count, draw or convert: one row of data each, with its two examples.

A family allows a call when its words fit `only`, none of them fits `never`, and all are plain: no address, no path outside
of the folder of the work, nothing hidden, no option that names code, a program, settings or a credential. Where a family
makes files, none of its words may name something that is run or that says how things are run (`kept.data`).
"""

import re
from functools import cache
from typing import Final

from attrs import field, frozen

from defender.commands.calls import Call
from defender.commands.kept import data, inside
from defender.commands.marks import marked

_RISKY: Final = re.compile(
    r"-{1,2}(\w+-)*(exec\w*|commands?|cmd|eval\w*|run\w*|scripts?|script-?file|shell|plugins?|plug-?in-\w+|load\w*|library|module|config\w*|conf|rc-?file|init\w*"
    r"|hooks?|pager|editor|browser|viewer|filter\w*|pass(word|phrase|wd)?|tokens?|secrets?|credentials?|key-?file|private\w*|host|server|proxy|url|endpoint\w*"
    r"|upload|delete|remove|kill|force|write|overwrite\w*|output-?dir\w*|kubeconfig|raw|web|listen|daemon\w*|listener|edit|fix|apply|in-?place)(=|$|-)",
    re.IGNORECASE,
)
_HELP: Final = frozenset({"", "--version", "-h", "-help", "-V", "help", "version", "-?"})


def _whole(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.DOTALL)


def _found(pattern: str | None) -> re.Pattern[str] | None:
    return re.compile(pattern) if pattern else None


@frozen
class Family:
    """One family: its programs, what their words must be in full, what they must not hold, why, and two examples."""

    id: str
    programs: str
    reason: str
    example: str
    refused: str
    only: re.Pattern[str] = field(default=".*", kw_only=True, converter=_whole)
    never: re.Pattern[str] | None = field(default=None, kw_only=True, converter=_found)
    makes: bool = field(default=False, kw_only=True)

    def allows(self, call: Call) -> bool:
        """Whether a call belongs to the harmless ones of the family."""
        rest = " ".join(call.args)
        return (
            self.only.fullmatch(rest) is not None
            and not (self.never is not None and self.never.search(f" {rest}"))
            and all(map(_plain, call.args))
            and not (self.makes and not all(data(part) for word in call.args for part in _parts(word)))
        )


def _parts(word: str) -> list[str]:
    """The values in a word that may name a file: the word, or what stands behind `=` of an option."""
    if word.startswith("-"):
        name, _, value = word.partition("=")
        return [value] if value else ([word[2:]] if "/" in name else [])
    return [word, value] if (value := word.partition("=")[2]) else [word]


def _plain(word: str) -> bool:
    if marked(word) or "://" in word or word.startswith("@") or _RISKY.match(word):
        return False
    return all(not part or inside(part) for part in _parts(word) if "/" in part or part[:1] in {".", "~"})


FAMILIES: Final = (
    Family(
        "help",
        "tldr cheat fortune cowsay figlet toilet lolcat cal uuidgen uuidparse colrm rev fold look comm pinky neofetch fastfetch screenfetch",
        "Shows documentation, or what a text looks like otherwise.",
        "tldr tar",
        "tldr --update",
        never=r" (-r|-u|--update|-f|-I|--config\S*)\b|/",
    ),
    Family(
        "binaries",
        "objdump readelf nm size strings dwarfdump pahole c++filt addr2line wasm-objdump wasm-dump"
        " llvm-objdump llvm-nm llvm-readelf llvm-readobj llvm-size llvm-strings llvm-dwarfdump llvm-cxxfilt"
        " pedump",
        "Shows what is in a program.",
        "objdump -d a.o",
        "objdump --plugin ./x.so a.o",
        never=r" --(output|extract|disassembler-options)",
    ),
    Family(
        "netpbm",
        "pnmtopng pnmtojpeg pnmtotiff pnmtops pnmcrop pnmnorm pnmscale pnmcut pnmcat pnmpad pnmflip pnmrotate pnmshear pnmsmooth pnmgamma"
        " pnmdepth pnminvert pnmhisteq pnmconvol pnmcolormap pnmremap pnmquant pnmquantall pnmtile pnmpaste pnmmargin pnmarith pnmalias"
        " pnmmontage pnmtofiasco pnmtosir pnmtoddif pnmtopalm pnmtopclxl pnmtorle pnmtosgi pnmtoxwd pnmstitch pnmtorast pnmnlfilt pnmenlarge"
        " pamcut pamflip pamscale pamenlarge pamtopng pamtotga pamtosvg pamtotiff pamtopnm pamcomp pamfunc pamedge pamdice pamdeinterlace"
        " pamditherbw pamperspective pampop9 pampick pamrgbatopng pamseq pamslice pamsplit pamstack pamstereogram pamstretch pamthreshold"
        " pamtilt pamtodjvurle pamtofits pamtogif pamtohdiff pamtohtmltbl pamtopam pamtopfm pamtouil pamtowinicon pamtoxvmini pamundice"
        " pamaddrand pamarith pambackground pambayer pamchannel pamcrater pamdepth pamdither pamfix pamfixtrunc pamgauss pamgradient"
        " pamlookup pammasksharpen pammixinterlace pammixmulti pammosaicknit pamoil pampaintspill pamrecolor pamrubber pamsharpmap pamsharpness"
        " pamshadedrelief pamshuffle pamsistoaglyph pamtoavs pamtojpeg2k pamtompfont pamtosrf pamwipeout pbmtext pbmtextps pbmtolj pbmtoepson"
        " pbmclean pbmlife pbmmake pbmmask pbmminkowski pbmnoise pbmpage pbmpscale pbmreduce pbmto10x pbmto4425 pbmtoascii pbmtoatk pbmtobbnbg"
        " pbmtocis pbmtocmuwm pbmtodjvurle pbmtoepsi pbmtoescp2 pbmtog3 pbmtogem pbmtogo pbmtoibm23xx pbmtoicon pbmtolps pbmtomacp pbmtomatrixorbital"
        " pbmtomda pbmtomgr pbmtomrf pbmtonokia pbmtopgm pbmtopi3 pbmtopk pbmtoplot pbmtoppa pbmtopsg3 pbmtoptx pbmtosunicon pbmtowbmp pbmtox10bm"
        " pbmtoxbm pbmtoybm pbmtozinc pbmupc pgmabel pgmbentley pgmcrater pgmdeshadow pgmedge pgmenhance pgmhist pgmkernel pgmmake pgmmedian"
        " pgmminkowski pgmmorphconv pgmnoise pgmnorm pgmoil pgmramp pgmslice pgmtexture pgmtofs pgmtolispm pgmtopbm pgmtopgm pgmtoppm pgmtosbig"
        " pgmtost4 ppm3d ppmbrighten ppmchange ppmcie ppmcolormask ppmcolors ppmdcfont ppmddumpfont ppmdim ppmdist ppmdither ppmdmkfont ppmdraw"
        " ppmfade ppmflash ppmforge ppmglobe ppmlabel ppmmake ppmmix ppmnorm ppmntsc ppmpat ppmquant ppmquantall ppmrainbow ppmrelief ppmrough"
        " ppmshadow ppmshift ppmspread ppmsvgalib ppmtoacad ppmtoapplevol ppmtoarbtxt ppmtoascii ppmtobmp ppmtoeyuv ppmtogif ppmtoicr ppmtoilbm"
        " ppmtojpeg ppmtoleaf ppmtolj ppmtomap ppmtomitsu ppmtoneo ppmtopcx ppmtopgm ppmtopi1 ppmtopict ppmtopj ppmtopjxl ppmtoppm"
        " ppmtopuzz ppmtorgb3 ppmtosixel ppmtospu ppmtoterm ppmtotga ppmtouil ppmtowinicon ppmtoxpm ppmtoyuv ppmtoyuvsplit ppmtv ppmwheel"
        " 411toppm asciitopgm atktopbm avstopam bioradtopgm bmptopnm bmptoppm brushtopbm cameratopam cistopbm cmuwmtopbm ddbugtopbm escp2topbm"
        " eyuvtoppm fiascotopnm fitstopnm fstopgm g3topbm gemtopbm gemtopnm giftopnm gouldtoppm hdifftopam hipstopgm icontopbm ilbmtoppm"
        " imgtoppm infotopam jbigtopnm jpeg2ktopam jpegtopnm leaftoppm lispmtopgm macptopbm mdatopbm mgrtopbm mrftopbm mtvtoppm neotoppm"
        " palmtopnm pc1toppm pcdovtoppm pcxtoppm pfmtopam pi1toppm pi3topbm picttoppm pjtoppm pktopbm pngtopam pngtopnm psidtopgm"
        " pstopnm qrttoppm rasttopnm rawtopgm rawtoppm rgb3toppm rlatopam rletopnm sbigtopgm sgitopnm sirtopnm sldtoppm spctoppm spottopgm"
        " sputoppm srftopam st4topgm sunicontopnm tgatoppm thinkjettopbm tifftopnm wbmptopbm winicontopam winicontoppm xbmtopbm ximtoppm xpmtoppm"
        " xvminitoppm xwdtopnm ybmtopbm yuvsplittoppm yuvtoppm yuy2topam zeisstopnm",
        "Converts a picture and prints the other.",
        "pamflip -lr in.pam",
        "pamflip -lr ~/in.pam",
        makes=True,
    ),
    Family(
        "texts",
        "csvcut csvgrep csvsort csvstat csvlook csvjoin csvstack xsv gron htmlq pup cloc tokei scc sloccount shellcheck yamllint wdiff dwdiff"
        " colordiff msgcmp msggrep nkf recsel",
        "Reads texts and prints them, or what is wrong with them.",
        "shellcheck run.sh",
        "csvsort --output x.csv a.csv",
        never=r" (-o|--out\S*|-w|--write|-i|-d|-c|--overwrite|--database|--diff-program|--rcfile|-P|-r)\b",
    ),
    Family(
        "system-shown",
        "lsblk lsmem lsusb lspci lshw lsscsi lsipc lsns lslocks lsdev sensors upower acpi inxi hwinfo nproc"
        " free vmstat iostat mpstat sar pidstat dstat uptime tuptime w who runlevel df dfc duf dua dysk pydf di"
        " pmap pwdx pstree ps locale lpstat lpq vulkaninfo glxinfo eglinfo clinfo xlsclients xlsfonts xdpyinfo"
        " xwininfo fc-list fc-scan fc-match fc-query fc-cat filefrag quota cpuid lstopo hwloc-ls hwloc-info nvidia-smi"
        " rocm-smi pw-dump pactree pacinfo getenforce sestatus sesearch seinfo rc-status systemd-cgtop systemd-cgls"
        " sw_vers vm_stat ipcs xev mokutil findmnt tload ac logname ifstat nload sinfo squeue sacct"
        " deborphan checkupdates apt-show-versions smem getconf pgrep",
        "Shows the machine and what runs on it.",
        "sensors",
        "sensors --set",
        never=r" (-[io]?\S*=|set\b|-S ?\S+$|--set\S*|--(reset|gpu-reset|clear|import|export|to|timeout-action|of) ?|-pm|-pl|-r$|--reset|-e\b|--mig|-K\b)",
    ),
    Family(
        "services-shown",
        "systemctl",
        "Shows services.",
        "systemctl status nginx",
        "systemctl restart nginx",
        only=r"((--user|--system|--no-pager|-a|--all|-l|--full|--failed)( |$))*((status|show|cat|help|list-[\w-]+|is-active|is-enabled|is-failed|is-system-running|get-default|whoami)( .*)?)?",
        never=r" (-H|-M|--root|--image)\b",
    ),
    Family(
        "records-shown",
        "loginctl systemd-analyze coredumpctl timedatectl localectl hostnamectl networkctl resolvectl bootctl",
        "Shows the records of services.",
        "timedatectl list-timezones",
        "loginctl kill-session 3",
        only=r"((status|list|show|list-[\w-]+|info|timesync-status|session-status|user-status|blame|critical-chain|time|security|dot|calendar|timespan|timestamp|unit-files|verify|statistics)( .*)?)?",
        never=r" (--vacuum|--rotate|--flush|--sync|--relinquish|--smart-relinquish|--setup-keys|--update-catalog|--file|--root|--image|-D|-H|-M|--cursor-file|set|terminate|kill|--interval)",
    ),
    Family(
        "journal",
        "journalctl",
        "Shows the records of services.",
        "journalctl -n 50",
        "journalctl --vacuum-time=1d",
        never=r" --(vacuum|rotate|flush|sync|relinquish|smart|setup|update|file|root|image|cursor-file|directory|interval|verify)| -[DHM]",
    ),
    Family(
        "archives-listed",
        "7z 7za 7zr 7zz rar unrar lsar",
        "Lists what is in an archive.",
        "7z l a.7z",
        "7z x a.7z",
        only=r"(l|lt|v|lb|t) [^-]\S*( -\S+)*",
    ),
    Family(
        "containers-shown",
        "docker podman nerdctl crictl docker-compose podman-compose buildah skopeo",
        "Shows containers and images.",
        "docker ps -a",
        "docker run alpine",
        only=r"(compose )?(ps|images|version|info|top|logs|port|diff|history|stats|pods)( .*)?|(image|container|volume|network|system|compose|context|node|service|stack|plugin|pod|machine) (ls|list|ps|images|logs|top|port|df|history|version|info)( .*)?",
        never=r" (-H|--root|--tls\S*|--connection|-f \S+:|--identity)\b",
    ),
    Family(
        "clusters-shown",
        "kubectl oc",
        "Shows what stands in a cluster.",
        "kubectl get pods",
        "kubectl get secrets",
        only=r"(get|describe|logs|top|version|explain|api-resources|api-versions|cluster-info|events|rollout (status|history)|diff|options|config (current-context|get-contexts))( .*)?",
        never=r"secret|configmap|\bcm\b|serviceaccount|\bsa\b|token|clusterrole|rolebinding|\ball\b| (-o|--output|-o\S+)(?!wide)\b| (dump|-A -o|--dump)| --(raw|as|server|token)",
    ),
    Family(
        "packages-asked",
        "apt dnf yum brew snap flatpak apk zypper dpkg-query conda mamba pip pip3",
        "Asks a package manager what there is.",
        "apt list --installed",
        "apt install x",
        only=r"(list|ls|show|info|search|policy|depends|rdepends|madison|repolist|provides|outdated|freeze|showpkg)( .*)?|-[lWs]( .*)?",
        never=r" (-c|-o|-f|-e|-i|--config\S*|--root|--index-url|--extra-index-url|--channel|--installroot|--repofrompath|--setopt)\b",
    ),
    Family(
        "pacman-asked",
        "pacman yay paru pacaur trizen aura",
        "Asks a package manager what there is.",
        "pacman -Ss editor",
        "pacman -S editor",
        only=r"(-Q[a-zA-Z]*|-S[isglq]+|-F[qlxs]*|-T|--query|--files)( .*)?",
        never=r"y| --(root|dbpath|noconfirm|hookdir|gpgdir|sysroot|arch|cachedir)",
    ),
)
"""All families."""


@cache
def index() -> dict[str, tuple[Family, ...]]:
    """Return the families by program."""
    found: dict[str, list[Family]] = {}
    for family in FAMILIES:
        for name in family.programs.split():
            found.setdefault(name, []).append(family)
    return {name: tuple(families) for name, families in found.items()}


def asks_help(call: Call) -> bool:
    """Whether a listed program only says how it is used: `X -h`, `X sub --help`."""
    words = call.args
    return (
        call.name in index()
        and 0 < len(words) < 5
        and words[-1] in _HELP
        and (len(words) == 1 or words[-1] in {"", "-h", "help"})
        and all(re.fullmatch(r"[a-z][\w:-]*", word) for word in words[:-1])
    )


def listed(call: Call) -> bool:
    """Whether a call belongs to what a family allows."""
    return any(family.allows(call) for family in index().get(call.name, ())) or asks_help(call)
