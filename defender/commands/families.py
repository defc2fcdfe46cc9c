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
_NOUN: Final = (
    r"(?:(?!run|exec|shell|ssh|eval|delete|remove|rm|set|add|create|new|start|stop|restart|edit|apply|push|pull|install|import|config\b|destroy|shutdown|reset|reboot|kill|undefine|unset|update|upgrade|send|split|respawn|pipe|suspend|resume|save|restore|migrate|clone|fork|merge|deploy|publish|upload|download|connect|attach|detach|enable|disable|freeze|use|switch|checkout|clean|clear|purge|prune|drop|scale|console|sudo|do\b|with|env|watch|open|close|lock|unlock|revoke|rotate|sign|sync|init|up\b|down\b|x\b|call|invoke|play|pause|power|cp\b|mv\b|command|util|repl|put|patch|replace|write|move|copy|dispatch|tunnel|proxy|serve|test|build|t\b|e\b|auth|secret|key|token|login|plugin)"
    r"[a-z][\w:-]* ){0,3}"
)
_LOOKS: Final = _NOUN + r"(list|ls|status|show|info|version|help|search|view|describe|list-[\w-]+)( .*)?"


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
        "tldr tealdeer man info help cheat kjv fortune cowsay figlet toilet showfigfonts lolcat sl cmatrix cbonsai banner ascii"
        " wn dict sdcv cal lsfd hello beep roll faker mcookie uuidgen uuidparse xteddy calligrasheets betty bb-help texdoc fc-match"
        " ptx colrm rfetch neofetch fastfetch screenfetch macchina pokeget bible rig pinky showkey termdown cava tt genact",
        "Shows documentation, plays, or makes up a word.",
        "tldr tar",
        "man -P sh ls",
        never=r" (-P|-H|-l|-C|-M|-r|-u|--update|-p/|-o|-f)\b(?! (common|linux|windows|osx|android|android) )|/",
    ),
    Family(
        "calculators",
        "qalc calc dc numbat units semver ipcalc sipcalc datediff dateadd dateseq strptime biff bitwise grpn rpn lcalc mode",
        "Works something out of its words.",
        "dc -e '4 5 * p'",
        "dc -e '!make'",
        never=r"!|\$\(|system|exec|load|write",
    ),
    Family(
        "binaries",
        "objdump readelf nm size strings otool dwarfdump pahole c++filt addr2line wasm-objdump wasm-dump"
        " llvm-objdump llvm-nm llvm-readelf llvm-readobj llvm-size llvm-strings llvm-dwarfdump llvm-cxxfilt rabin2 ropper ROPgadget"
        " pedump monodis javap jdeps ident lsinitcpio lsinitramfs lsinitrd checksec file2",
        "Shows what is in a program.",
        "objdump -d a.o",
        "objdump --plugin ./x.so a.o",
        never=r" --(output|extract|disassembler-options)",
    ),
    Family(
        "media-shown",
        "exiftool identify mediainfo ffprobe soxi exiv2 jhead pngcheck gifsicle-info metaflac mid3v2 id3v2 id3info mp3info mpg123-info"
        " vorbiscomment opusinfo flacinfo catimg chafa viu jp2a img2txt cacaview timg fim ppmhist pnmpsnr pamsumm pnmhist pamfile"
        " tiffinfo djvudump webpinfo gif2rgb pdffonts pdfimages-list pdfinfo tabula doxx olevba mediaconch zbarimg waifu-info",
        "Shows pictures, sound, and what stands about them.",
        "ffprobe -v error in.mp4",
        "exiftool -config x.cfg a.jpg",
        never=r" -[A-Za-z:]+[-+]?=|=| -(overwrite_original|o|w|tagsFromFile|execute|if|p|stay_open|common_args|config|f_?script|api|ut|ft|purejpg|te|cmd|dt|df|i|n\S*|A|a|t|T|y|c|g|D|d|s|C|w) ?\S*(?<!avg_frame_rate)(?<!error)$|--(import|remove|set|delete|export|add|convert|song|artist|year)|lavfi|movie=",
    ),
    Family(
        "pictures-converted",
        "pngcrush pngquant optipng oxipng jpegoptim jpegtran cwebp dwebp cjxl djxl avifenc avifdec cjpeg djpeg gif2webp svgtopam waifu2x-ncnn-vulkan"
        " tesseract pdftotext pdftoppm pdftocairo pdfseparate pdfunite pdfcrop pdfjoin pdfjam qpdf ps2pdf pdf2ps pdftops dvipdf dvips tiff2pdf tiffcp rsvg-convert svg2png"
        " ffmpeg2 sox2 lame flac oggenc oggdec opusenc opusdec mpg123-w afconvert wavpack textutil antiword catdoc unrtf html2text"
        " dos2unix unix2dos mac2unix asciidoctor cmark markdown pandoc2 rst2html csv2json in2csv csvjson gv2gml gml2gv graphml2gv mm2gv gvpack bcomps ccomps sccmap"
        " dot neato fdp sfdp twopi circo osage patchwork gvmap tred unflatten nop acyclic edgepaint cluster mingle lrztar par2 rzip lrzip lzop pigz pbzip2 lz4 brotli compress"
        " bchunk glib-compile-resources msgfmt msgcat msgmerge msgunfmt msginit xgettext",
        "Converts files of the folder.",
        "pngcrush in.png out.png",
        "pngcrush in.png run.sh",
        makes=True,
        never=r" (-c \S*(rc|conf)|-l ?\S*\.so|-r|-F|-s-? ?\S+\.(cfg|xsl)|--from-tags)\b",
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
        "csvcut csvgrep csvsort csvstat csvlook csvjoin csvstack csvformat xsv gron json5 htmlq pup jless jtbl xml2 html2 tidy-viewer csview"
        " yamllint shellcheck hadolint codespell aspell-list languagetool typos-check proselint write-good markdownlint-cli2"
        " cloc loc tokei scc sloccount lizard radon mh_lint pydocstyle pycodestyle pyflakes vulture bandit jsonlint actionlint"
        " cppcheck cpplint flawfinder splint xmllint wdiff dwdiff colordiff diffoscope csv-diff msgcmp msggrep msgattrib"
        " msgconv msguniq recsel glow mdcat mdless bat pygmentize highlight source-highlight tuc choose nkf detox-n uconv compseq seqkit-stats"
        " rev fold look comm ts pr vgrep sk fzf-f parallel-lint tspin yj sc_warts2text aha ansi2html",
        "Reads texts and prints them, or what is wrong with them.",
        "shellcheck run.sh",
        "xmllint --output x.xml a.xml",
        never=r" (-p|-o|--out\S*|-w|--write|-i|-w\S*|-r|--rcfile|-d|--save\S*|--path|--xinclude|--loaddtd|--noent|-c ?\S*(rc|conf)|--preview|--bind|--become)\b",
    ),
    Family(
        "system-shown",
        "lsblk lsmem lsusb lspci lshw lsscsi lsipc lsns lslocks lsdev sensors upower acpi inxi hwinfo nproc"
        " free vmstat iostat mpstat sar pidstat dstat uptime tuptime w who runlevel df dfc duf dua dysk pydf di"
        " pmap pwdx pstree ps locale lpstat lpq vulkaninfo glxinfo eglinfo clinfo xlsclients xlsfonts xdpyinfo"
        " xwininfo fc-list fc-scan fc-match fc-query fc-cat filefrag quota biosdecode cpuid cpufreq-info lstopo hwloc-ls hwloc-info nvidia-smi"
        " rocm-smi pw-mon pw-dump pw-top pactree pacinfo getenforce sestatus sesearch seinfo rc-status systemd-cgtop systemd-cgls"
        " sw_vers vm_stat ipcs xev mokutil findmnt tload ac logname ifstat nload sinfo squeue sacct"
        " deborphan distrobox-list checkupdates apt-show-versions smem waitpid getconf pgrep",
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
        "packages-asked",
        "apt dnf dnf4 dnf5 yum brew snap flatpak apk zypper gem conda mamba micromamba poetry uv rustup nix opkg tlmgr helm"
        " pnpm bower npm pip pip3 pipx cargo go xbps-query equery eix urpmq dpkg-query pkg port guix stack cabal opam luarocks"
        " pixi mise asdf nvm n rbenv pyenv goenv jenv plenv phpenv perlbrew nodenv sdkmanager pio extrepo copr-cli vcpkg conan",
        "Asks a package manager what there is.",
        "apt list --installed",
        "apt install x",
        only=r"((repo|repository|toolchain|component|target|env|package|packages|pip|cache|python|flake|msrv|system|plugins?|repoquery|team|dist-tag|runtimes?|device|query)[ :])?"
        r"(list|ls|la|ll|show|info|search|policy|depends|rdepends|madison|repolist|provides|whatprovides|deps|outdated|leaves|desc|uses|dependencies|check|tree|licenses?|why|whatis|find|contents|files|status|version|versions|which|whence"
        r"|showpkg|metadata|locate-project|verify-project|pkgid|about|validate|freeze|whoami|list-[\w-]+|history list|current|dir|explain|paths?|depends|needs|list_packages|platforms|boards|metadata)( .*)?"
        r"|-[qQlLsSIEnp][\w-]*( .*)?|--(list|query|installed|search|show|print-architecture)( .*)?",
        never=r" (tree|metadata|msrv|-w|-u|--unset|-f|-e|-o|-c|--save|-i|--registry|--root|--index-url|--extra-index-url|--channel|--installroot|--repofrompath|--add-repo|-i\S*|-S[yu]\S*|--(upgrade|clean|purge|setopt|eval|expr)|token|-Q\S*[Dcek])\b",
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
        "read-verbs",
        "apptainer singularity pueue qm pct pvesm VBoxManage crane gcrane linode-cli doctl openstack ibmcloud exo dvc dolt"
        " virsh virt-inspector lxc incus hledger ledger koji wacli opencode openclaw flux argocd nomad kaggle hf"
        " flyctl fly trunk mole bluetoothctl nmcli mullvad tailscale zerotier-cli"
        " rabbitmqctl rabbitmq-diagnostics rabbitmq-queues rabbitmq-streams supervisorctl pm2 jobs bup svn hg jj fossil darcs glab gh hub tea forge"
        " playerctl mpc rmpc cmus-remote pactl pamixer wpctl amixer task timew todo todo.sh todoman khal khard taskwarrior gcalcli toolbox distrobox box sfdk"
        " pkgctl eselect ostree limine-entry-tool makoctl gsettings gio xdg-mime xdg-settings chainctl devpod steamosctl"
        " bundletool parquet-tools box phar nova cs circup velero sui crc minikube kind k3d colima lima limactl multipass waydroid ddev"
        " pixi systemd-inhibit udisksctl bootctl zfs zpool scontrol sacctmgr strigger skicka"
        " sqlite-utils datasette git-lfs gitmoji tmt"
        " argos-translate steamos-select-branch konsave gnome-extensions kpackagetool5 kpackagetool6 nixos-option nh home-manager"
        " upower bluetooth nvme xcodes softwareupdate pkgutil mas tmutil",
        "Lists or shows what a tool keeps, and changes nothing.",
        "virsh list",
        "virsh destroy x",
        only=rf"{_LOOKS}|(st|log|diff|blame|annotate|summary|branches|tags|heads|parents|files|stats|bal|balance|reg|register|print|accounts|activity|files|identify|tip|timeline|config g|config get|op log|obslog|root|workspace root"
        r"|domblklist|dominfo|domifaddr|domblkinfo|domstate|nodeinfo|capabilities|alarms|ping|netcheck|ip|metadata|current|get|queue|stats|outputs|agenda|calw|calm|alarms|environment|cluster_status|check_running|list_\w+)( .*)?"
        r"|-l( .*)?|--(list\S*|status|get-\S+)( .*)?",
        never=r"secret|token|credential|password|passphrase|api-?key|\bkeys?\b|ssh|unmasked| (--show-\w+|-p\S+|-w|-o|--out\S*|--forc\S*|--json-out|-c|--web|-U|--ext-diff|-x|--diff-cmd|--tool|-t ?\S+\.\S+|--with-tokens|--decrypt|--reveal|--profile|-P)\b|add|delete| (set|rm|exec|edit|create|destroy|import|remove|eval|run)\b",
    ),
    Family(
        "clouds-shown",
        "az gcloud aws",
        "Lists what stands in a cloud.",
        "az vm list",
        "az keyvault secret list",
        only=r"(help|[a-z][\w-]*( [a-z][\w-]*){0,3} (list|show|describe|help|ls|list-[\w-]+|describe-[\w-]+)( .*)?|[a-z]\w+|configure list.*)",
        never=r"secret|keyvault|key|token|credential|password|connection|iam|role|user|account|ad |auth|login|policy|run-command|ssm|lambda|storage|s3|identity|function|snapshot|logs|bucket|cloudtrail|config",
    ),
    Family(
        "compilers",
        "gcc g++ clang clang++ cc c++ gfortran nvcc mpicc mpicxx mcs dmd ocamlc ocamlopt gdc nasm yasm as luac cython",
        "Compiles files of the folder; nothing of it runs.",
        "gcc -Wall a.c -o out/prog",
        "gcc -fplugin=./x.so a.c",
        never=r"-fplugin|-specs|-wrapper|-B|-Xclang|-load|-fuse-ld|-Wl|-Xlinker|-Wp|-Xpreprocessor| @|-ccbin|-e |--eval|-o ?\S*(\.(sh|py|js|pl|rb|so|conf|ya?ml|txt|json)|(^|/)(bin|sbin|hooks|scripts)/)|-pgm|-F |-ppx|-pp |-no-canonical|-processor|-A\w+=|-J|-T ?\S|-idirafter|--compiler",
    ),
    Family(
        "formatters-shown",
        "gofmt gofumpt black isort clang-format rustfmt stylua shfmt biome pint taplo dprint",
        "Shows how a file would be formatted.",
        "gofmt a.go",
        "gofmt -w a.go",
        only=r"((-d|-l|-e|-s|--check|--diff|-c|--dry-run|--test|--list-different|--color)( .*)?|[^-]\S*\.(go|css|md|html|c|h|cc|cpp))",
        never=r" (-w|--write|-i|-r|--fix|-c \S*rc|--cpuprofile|-style=file:\S*)\b",
    ),
    Family(
        "windows-of-own",
        "eog feh viewnior sxiv nsxiv imv gwenview evince okular zathura xpdf mupdf atril nautilus dolphin thunar pcmanfm nemo caja gedit kate mousepad gnome-calculator kcalc"
        " xclock xeyes xlogo krita qmmp clementine audacious mocp cmus ncspot drawing kinfocenter gnome-system-monitor"
        " slides mdp presenterm tig jless speaker-test aplay paplay mpg123 play espeak espeak-ng flite say",
        "Opens a window that shows something, or plays it.",
        "eog a.png",
        "evince ~/a.pdf",
        never=r" (-w|-c|-C|-o|-x|-A|-f|--action\S*|--info|-e|--execute|-w\S*|--wav\S*|-u|--filename|-t)\b",
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
