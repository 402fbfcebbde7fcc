"""What never runs and what asks every time because it destroys or publishes, as data. Pure."""

from lsp_agent.policy.programs import word_set

BLOCKED = word_set(
    "alias aria2c axel chrome curl curlie firefox http-prompt httpie links lynx nc ncat netcat scp sftp "
    "rsync-ssh socat ssh "
    "ssh-add ssh-agent ssh-copy-id telnet tftp w3m wget xh elinks ftp doas su sudo pkexec run0 runuser apk apt "
    "apt-cache "
    "apt-get aptitude dnf dpkg emerge flatpak home-manager makepkg opkg pacman paru pkg pkg_add pkg_delete "
    "portage rpm snap "
    "yay yum zypper brew-cask at batch chkconfig crontab fdisk mkfs mount parted service systemctl umount "
    "firewall-cmd "
    "ifconfig iptables ip6tables nft netstat route ufw insmod rmmod modprobe halt poweroff reboot shutdown init "
    "telinit "
    "useradd userdel usermod groupadd passwd chpasswd visudo chroot nsenter unshare setcap sysctl losetup "
    "swapon swapoff"
)
BLOCKED_ARGUMENTS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("brew", ("install",), ()),
    ("cargo", ("install",), ()),
    ("gem", ("install",), ()),
    ("go", ("install",), ()),
    ("go", ("test",), ("-exec",)),
    ("npm", ("install",), ("-g", "--global")),
    ("npm", ("i",), ("-g", "--global")),
    ("pnpm", ("add",), ("-g", "--global")),
    ("yarn", ("global", "add"), ()),
    ("pip", ("install",), ("--user",)),
    ("pip3", ("install",), ("--user",)),
)
"""Program, the words its arguments begin with (flags left out), and flags of which one must be there."""

LAUNCHERS = word_set(
    "env nohup nice ionice timeout time xargs command exec builtin setsid stdbuf unbuffer busybox toybox watch "
    "script "
    "parallel flock chrt taskset strace ltrace gdb catchsegv prlimit then do else coproc !"
)
SHELLS = word_set("sh bash dash zsh ksh fish ash mksh rbash eval")

DESTRUCTIVE_PROGRAMS = word_set(
    "dd shred wipefs blkdiscard fdisk sfdisk parted mkswap truncate wipe srm scrub cfdisk hdparm"
)
DESTRUCTIVE_ARGUMENTS: tuple[tuple[str, frozenset[str]], ...] = (
    ("git reset", word_set("--hard --merge --keep")),
    ("git clean", frozenset()),
    ("git push", word_set("--force -f --force-with-lease --mirror --delete -d --prune --force-if-includes")),
    ("git checkout", word_set("-f --force -- .")),
    ("git restore", frozenset()),
    ("git switch", word_set("-f --force --discard-changes")),
    ("git branch", word_set("-D -d --delete -M")),
    ("git tag", word_set("-d --delete -f")),
    ("git stash", word_set("drop clear")),
    ("git rebase", frozenset()),
    ("git filter-branch", frozenset()),
    ("git filter-repo", frozenset()),
    ("git reflog", word_set("expire delete")),
    ("git gc", word_set("--prune=now --prune=all --aggressive")),
    ("git prune", frozenset()),
    ("git update-ref", word_set("-d")),
    ("git worktree", word_set("remove prune")),
    ("find", word_set("-delete")),
    ("rsync", word_set("--delete --delete-after --delete-before --remove-source-files")),
    ("docker", word_set("prune rm rmi kill down")),
    ("kubectl", word_set("delete drain")),
    ("terraform", word_set("destroy apply")),
    ("aws", word_set("rm delete-bucket terminate-instances delete-stack")),
    ("kill", frozenset()),
    ("killall", frozenset()),
    ("pkill", frozenset()),
    ("npm", word_set("publish unpublish")),
    ("cargo", word_set("publish yank")),
    ("twine", word_set("upload")),
    ("dropdb", frozenset()),
    ("chmod", word_set("-R --recursive")),
    ("chown", word_set("-R --recursive")),
)
"""Program with the first words of its arguments, and words of which one must follow; none listed = always."""
