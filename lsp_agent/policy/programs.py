"""Programs that may run unasked, with the flags they may have, as data. Git has a file of its own. Pure.

A program that is not here, a flag that is not listed for it, an abbreviation of a long flag: all of these ask. Flags
that run another program, write a file, or read a list of names from a file are left out on purpose (RELIABILITY SH-08).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Operands = Literal["paths", "text", "none", "pattern", "filter", "find", "sed"]
"""What words that are no flags mean: `pattern` and `filter` are a text first and paths after it."""


@dataclass(frozen=True, slots=True)
class Program:
    """One program, or one sub-command of git, as it may run unasked."""

    operands: Operands = "paths"
    flags: frozenset[str] = frozenset()
    """Flags without a value. Single letters may be joined (`-la`)."""
    valued: frozenset[str] = frozenset()
    """Flags with a value: `-n 5`, `-n5`, `--lines 5`, `--lines=5`."""
    optional: frozenset[str] = frozenset()
    """Long flags that stand alone or with `=value`."""
    path_valued: frozenset[str] = frozenset()
    """Flags of `valued` whose value is a path."""
    max_operands: int = 1_000
    numbers: bool = False
    """`-5` is a flag."""
    needs: frozenset[str] = frozenset()
    """With operands, one of these flags must be there."""
    broad: bool = False
    """Reads files that the command does not name."""
    broad_flags: frozenset[str] = frozenset()
    """Flags that make it so."""
    loose_globs: bool = False
    """A pattern that may turn into a flag (`*.txt`) does no harm: no flag of it does any."""
    exact: frozenset[tuple[str, ...]] | None = None
    """Only these arguments, word for word."""


def word_set(text: str) -> frozenset[str]:
    """The words of a line."""
    return frozenset(text.split())


def letters(text: str) -> frozenset[str]:
    """`ab` → `-a`, `-b`."""
    return frozenset([f"-{letter}" for letter in text])


def exact_forms(*lines: str) -> Program:
    """A program that may run with these arguments and no others."""
    return Program("none", exact=frozenset([tuple(line.split()) for line in lines]))


_GREP = Program(
    "pattern",
    letters("abcEFGhHiIlLnoqrsvVwxyPz")
    | word_set(
        "--recursive --ignore-case --line-number --count --files-with-matches --files-without-match --only-matching "
        "--invert-match --word-regexp --line-regexp --extended-regexp --fixed-strings --perl-regexp --no-messages "
        "--with-filename --no-filename --quiet --null --text --byte-offset --version --basic-regexp --no-ignore-case"
    ),
    letters("eABCm")
    | word_set("--regexp --after-context --before-context --context --max-count --include --exclude --exclude-dir")
    | word_set("--binary-files --label"),
    word_set("--color --colour"),
    numbers=True,
    broad_flags=word_set("-r --recursive"),
)
_RG = Program(
    "pattern",
    letters("abcFHhiIlLnNopPqsSUuvVwx0") - word_set("-L -u -b -a")
    | word_set(
        "--ignore-case --smart-case --case-sensitive --line-number --no-line-number --count --count-matches --files "
        "--files-with-matches --files-without-match --only-matching --invert-match --word-regexp --line-regexp "
        "--fixed-strings --multiline --multiline-dotall --pcre2 --no-heading --heading --column --trim --stats --json "
        "--no-messages --with-filename --no-filename --quiet --vimgrep --null --version --type-list --no-config "
        "--pretty --no-follow --byte-offset --glob-case-insensitive --passthru"
    ),
    letters("eABCmgtTMrj")
    | word_set("--regexp --after-context --before-context --context --max-count --glob --iglob --type --type-not")
    | word_set("--max-columns --max-depth --max-filesize --sort --sortr --color --replace --threads --colors"),
    broad=True,
)
_FIND = Program(
    "find",
    word_set(
        "-print -print0 -prune -not ! -o -or -a -and ( ) -ls -empty -xdev -mount -depth -quit -executable -readable "
        "-writable -true -false -daystart -nouser -nogroup -P -H -noleaf -ignore_readdir_race -version"
    ),
    word_set(
        "-name -iname -path -ipath -wholename -iwholename -regex -iregex -regextype -type -xtype -size -mtime -mmin "
        "-atime -amin -ctime -cmin -newer -newermt -maxdepth -mindepth -perm -user -group -links -inum -printf"
    ),
)
_DU = Program(
    "paths",
    letters("abchHklmsxS0") | word_set("--all --summarize --human-readable --total --bytes --apparent-size --si"),
    word_set("-d --max-depth --exclude -t --threshold"),
    loose_globs=True,
)
_LS = Program(
    "paths",
    letters("aAbBcCdfFgGhHiklLmnNopqQrRsStuUvxXZ1")
    | word_set(
        "--all --almost-all --human-readable --recursive --reverse --directory --inode --size --classify --full-time"
    )
    | word_set("--group-directories-first --no-group --numeric-uid-gid --version --file-type --si"),
    word_set("-I --ignore -w --width"),
    word_set("--color --sort --time --time-style --format --hyperlink --indicator-style"),
    loose_globs=True,
)
_HEAD = Program(
    "paths", word_set("-q -v -z --quiet --verbose"), word_set("-n -c --lines --bytes"), numbers=True, loose_globs=True
)
_SUMS = Program("paths", letters("btz") | word_set("--binary --text --tag --zero"), loose_globs=True)
_VERSION = exact_forms("--version")
_VERSIONS = exact_forms("--version", "-V", "version", "-v")

PROGRAMS: Mapping[str, Program] = {
    "ls": _LS,
    "cat": Program(
        "paths", letters("AbeEnstTuv") | word_set("--number --show-all --squeeze-blank --version"), loose_globs=True
    ),
    "head": _HEAD,
    "tail": _HEAD,
    "wc": Program(
        "paths", letters("clmwL") | word_set("--bytes --chars --lines --words --max-line-length"), loose_globs=True
    ),
    "grep": _GREP,
    "egrep": _GREP,
    "fgrep": _GREP,
    "rg": _RG,
    "find": _FIND,
    "du": _DU,
    "df": Program(
        "paths", letters("ahHiklPTm") | word_set("--human-readable --inodes --total --si"), word_set("-t -x --type")
    ),
    "pwd": Program("none", letters("LP")),
    "echo": Program("text", letters("neE")),
    "true": Program("text"),
    "false": Program("text"),
    "which": Program("text", letters("as")),
    "type": Program("text", letters("aptP")),
    "command": Program("text", letters("vV"), needs=word_set("-v -V")),
    "stat": Program(
        "paths", letters("Lft") | word_set("--dereference --terse"), word_set("-c --format --printf"), loose_globs=True
    ),
    "file": Program(
        "paths",
        letters("bhikLNr") | word_set("--brief --mime --mime-type --dereference"),
        word_set("-F"),
        loose_globs=True,
    ),
    "tree": Program(
        "paths",
        letters("adfFghiDpqrstuvx") | word_set("--dirsfirst --du --noreport --prune --si"),
        word_set("-L -I -P --filelimit"),
        loose_globs=True,
    ),
    "sort": Program(
        "paths",
        letters("bcCdfghiMnRrsuVz")
        | word_set("--unique --reverse --numeric-sort --human-numeric-sort --version-sort --check --stable"),
        word_set("-k -t --key --field-separator"),
    ),
    "uniq": Program(
        "paths",
        letters("cdDiuz") | word_set("--count --repeated --unique --ignore-case"),
        word_set("-f -s -w"),
        max_operands=1,
    ),
    "cut": Program(
        "paths",
        letters("nsz") | word_set("--complement --only-delimited"),
        word_set("-b -c -d -f --bytes --characters --delimiter --fields --output-delimiter"),
    ),
    "tr": Program("text", letters("cCdst") | word_set("--delete --squeeze-repeats --complement")),
    "nl": Program("paths", word_set("-p"), word_set("-b -n -w -s -v -i")),
    "tac": Program("paths", loose_globs=True),
    "rev": Program("paths", loose_globs=True),
    "fold": Program("paths", letters("bs"), word_set("-w --width")),
    "paste": Program("paths", letters("sz"), word_set("-d --delimiters")),
    "comm": Program("paths", letters("123z")),
    "cmp": Program("paths", letters("bls"), word_set("-n")),
    "diff": Program(
        "paths",
        letters("abBcdeEinNpqrstTuwWyZ")
        | word_set(
            "--brief --unified --recursive --side-by-side --ignore-all-space --new-file --report-identical-files"
        ),
        word_set("-U -C -W --width"),
        word_set("--color --unified --context"),
        broad_flags=word_set("-r --recursive"),
        max_operands=2,
    ),
    "od": Program("paths", letters("abcdfiloxvs"), word_set("-A -t -N -j -w")),
    "hexdump": Program("paths", letters("bcCdovx"), word_set("-n -s")),
    "strings": Program("paths", letters("afo"), word_set("-n -t -e"), loose_globs=True),
    "basename": Program("text", letters("az"), word_set("-s")),
    "dirname": Program("text", letters("z")),
    "realpath": Program(
        "paths",
        letters("eLmPqsz") | word_set("--canonicalize-existing --canonicalize-missing"),
        word_set("--relative-to --relative-base"),
        path_valued=word_set("--relative-to --relative-base"),
    ),
    "readlink": Program("paths", letters("efmnqsvz") | word_set("--canonicalize")),
    "sha256sum": _SUMS,
    "sha1sum": _SUMS,
    "sha512sum": _SUMS,
    "md5sum": _SUMS,
    "cksum": Program("paths"),
    "sed": Program("sed", word_set("-n -E -r --quiet --silent --regexp-extended")),
    "jq": Program(
        "filter",
        letters("cCeMnrRsSj") | word_set("--raw-output --compact-output --slurp --sort-keys --exit-status --tab"),
        word_set("--indent"),
    ),
    "seq": Program("text", letters("w"), word_set("-f -s"), numbers=True),
    "date": Program(
        "text",
        letters("uR") | word_set("--utc --rfc-email"),
        word_set("-d --date"),
        word_set("--iso-8601 --rfc-3339 -I"),
        max_operands=1,
    ),
    "uname": Program("none", letters("asnrvmpio") | word_set("--all --kernel-name --machine --version")),
    "whoami": Program("none"),
    "id": Program("text", letters("gGnru")),
    "groups": Program("text"),
    "hostname": Program("none", letters("fsidI")),
    "uptime": Program("none", letters("ps")),
    "free": Program("none", letters("bkmghtw"), word_set("-s -c")),
    "nproc": Program("none", word_set("--all")),
    "arch": Program("none"),
    "locale": Program("none", letters("am")),
    "cal": Program("text", letters("13my")),
    "ps": Program("text", letters("aAdefFHjlLNTuwxyZ"), word_set("-C -G -o -O -p -s -t -U --sort --pid --ppid --user")),
    "lscpu": Program("none", letters("aebJ")),
    "lsblk": Program("none", letters("abdfJlmnpt")),
    "python": exact_forms("--version", "-V", "-VV"),
    "python3": exact_forms("--version", "-V", "-VV"),
    "node": exact_forms("--version", "-v"),
    "npm": exact_forms("--version", "-v"),
    "pip": exact_forms("--version", "list", "freeze"),
    "pip3": exact_forms("--version", "list", "freeze"),
    "go": exact_forms("version"),
    "cargo": _VERSIONS,
    "rustc": exact_forms("--version", "-V", "-vV"),
    "ruby": exact_forms("--version"),
    "java": exact_forms("-version", "--version"),
    "gcc": _VERSION,
    "g++": _VERSION,
    "clang": _VERSION,
    "make": _VERSION,
    "cmake": _VERSION,
    "bash": _VERSION,
    "docker": _VERSION,
    "ruff": _VERSION,
    "mypy": _VERSION,
    "pytest": _VERSION,
    "uv": _VERSION,
    "yarn": _VERSION,
    "pnpm": _VERSION,
}
