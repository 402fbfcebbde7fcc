"""Runs inside a sandbox and tries to get out; prints one JSON object {probe: true when it got out}. Standard library only."""

# ruff: noqa: E501, F541, PTH101, PTH102, PTH104, PTH105, PTH108, PTH110, PTH114, PTH115, PTH123, PTH208, PTH211, SIM115

import ctypes
import json
import mmap
import os
import socket
import struct
import subprocess
import sys

arguments = json.loads(sys.argv[1])
INSIDE, OUTSIDE, HOME, MARK = (arguments[key] for key in ("inside", "outside", "home", "mark"))
SERVER, PORT, UDP, UNIX, ABSTRACT = (arguments[key] for key in ("server", "port", "udp", "unix", "abstract"))
READING = arguments["reading"]
libc = ctypes.CDLL(None, use_errno=True)
probes = {}


def probe(function):
    probes[function.__name__] = function
    return function


def writes(path, text="x"):
    with open(path, "a") as file:
        file.write(text)
    return True


def reads(path):
    with open(path, "rb") as file:
        return MARK.encode() in file.read()


def run(*words, text=None):
    done = subprocess.run(words, capture_output=True, text=True, input=text, timeout=5)
    return done.returncode == 0


def syscall(number, *values):
    libc.syscall.restype = ctypes.c_long
    return libc.syscall(ctypes.c_long(number), *[ctypes.c_long(v) if isinstance(v, int) else v for v in values]) >= 0


# ------------------------------------------------------------------------------------------- files outside


for name, action in {
    "append_outside": lambda: writes(f"{OUTSIDE}/file"),
    "create_outside": lambda: writes(f"{OUTSIDE}/new"),
    "truncate_outside": lambda: os.truncate(f"{OUTSIDE}/file", 0) is None,
    "unlink_outside": lambda: os.unlink(f"{OUTSIDE}/doomed") is None,
    "rename_outside": lambda: os.rename(f"{OUTSIDE}/doomed2", f"{OUTSIDE}/moved") is None,
    "rename_into_outside": lambda: (writes(f"{INSIDE}/a1"), os.rename(f"{INSIDE}/a1", f"{OUTSIDE}/a1")) and True,
    "rename_from_outside": lambda: os.rename(f"{OUTSIDE}/doomed3", f"{INSIDE}/taken") is None,
    "hard_link_out": lambda: os.link(f"{OUTSIDE}/file", f"{INSIDE}/hard") is None and writes(f"{INSIDE}/hard"),
    "symlink_out": lambda: os.symlink(f"{OUTSIDE}/file", f"{INSIDE}/soft") is None and writes(f"{INSIDE}/soft"),
    "symlink_directory_out": lambda: os.symlink(OUTSIDE, f"{INSIDE}/dir") is None and writes(f"{INSIDE}/dir/new2"),
    "dot_dot": lambda: writes(f"{INSIDE}/../outside/file"),
    "proc_self_root": lambda: writes(f"/proc/self/root{OUTSIDE}/file"),
    "proc_self_cwd": lambda: writes(f"/proc/self/cwd/../outside/file"),
    "proc_one_root": lambda: writes(f"/proc/1/root{OUTSIDE}/file"),
    "proc_server_root": lambda: writes(f"/proc/{SERVER}/root{OUTSIDE}/file"),
    "proc_server_cwd": lambda: writes(f"/proc/{SERVER}/cwd/escaped"),
    "mkdir_outside": lambda: os.mkdir(f"{OUTSIDE}/directory") is None,
    "symlink_in_outside": lambda: os.symlink("x", f"{OUTSIDE}/link") is None,
    "mkfifo_outside": lambda: os.mkfifo(f"{OUTSIDE}/fifo") is None,
    "chmod_outside": lambda: os.chmod(f"{OUTSIDE}/file", 0o777) is None,
    "chown_outside": lambda: os.chown(f"{OUTSIDE}/file", os.getuid(), os.getgid()) is None,
    "utime_outside": lambda: os.utime(f"{OUTSIDE}/file", (1, 1)) is None,
    "setxattr_outside": lambda: os.setxattr(f"{OUTSIDE}/file", "user.x", b"1") is None,
    "fchmod_outside": lambda: os.fchmod(os.open(f"{OUTSIDE}/file", os.O_RDONLY), 0o777) is None,
    "write_home": lambda: writes(f"{HOME}/.bashrc"),
    "write_home_new": lambda: writes(f"{HOME}/escaped"),
    "write_etc": lambda: writes("/etc/hosts", ""),
    "write_usr": lambda: writes("/usr/bin/escaped-probe"),
    "write_var_tmp": lambda: writes("/var/tmp/escaped-probe"),
    "write_tmp_of_the_host": lambda: os.path.exists(f"/tmp/{MARK}"),
    "write_dev_shm_host": lambda: reads(f"/dev/shm/{MARK}"),
    "mmap_outside": lambda: mmap.mmap(os.open(f"{OUTSIDE}/file", os.O_RDWR), 1).write(b"x") == 1,
    "sed_in_place": lambda: run("sed", "-i", "s/a/b/", f"{OUTSIDE}/file"),
    "dd_outside": lambda: run("dd", "if=/dev/zero", f"of={OUTSIDE}/file", "bs=1", "count=1"),
    "cp_outside": lambda: run("cp", "/etc/hostname", f"{OUTSIDE}/copied"),
    "git_init_outside": lambda: run("git", "init", f"{OUTSIDE}/repo"),
}.items():  # fmt: skip
    probes[name] = action

# ------------------------------------------------------------------------------------------- secrets

for name, action in {
    "read_ssh_key": lambda: reads(f"{HOME}/.ssh/id_ed25519"),
    "read_ssh_key_by_link": lambda: os.symlink(f"{HOME}/.ssh/id_ed25519", f"{INSIDE}/k") is None and reads(f"{INSIDE}/k"),
    "read_ssh_key_hard_link": lambda: os.link(f"{HOME}/.ssh/id_ed25519", f"{INSIDE}/k2") is None and reads(f"{INSIDE}/k2"),
    "read_aws": lambda: reads(f"{HOME}/.aws/credentials"),
    "read_netrc": lambda: reads(f"{HOME}/.netrc"),
    "read_config_of_the_server": lambda: reads(f"{HOME}/.config/lsp-agent/config.toml"),
    "read_state_of_the_server": lambda: reads(f"{arguments['state']}/db"),
    "read_shadow": lambda: len(open("/etc/shadow").read()) > 0,
    "read_server_environ": lambda: reads(f"/proc/{SERVER}/environ"),
    "read_any_environ": lambda: any(_environ(pid) for pid in os.listdir("/proc") if pid.isdigit() and pid != str(os.getpid())),
    "read_server_memory": lambda: len(open(f"/proc/{SERVER}/mem", "rb").read(0) or b"x") > 0,
    "read_server_descriptors": lambda: len(os.listdir(f"/proc/{SERVER}/fd")) > 0,
    "read_by_proc_root": lambda: reads(f"/proc/{SERVER}/root{HOME}/.ssh/id_ed25519"),
    "own_environ_has_secret": lambda: MARK in json.dumps(dict(os.environ)),
}.items():  # fmt: skip
    probes[name] = action


def _environ(pid):
    try:
        return reads(f"/proc/{pid}/environ")
    except OSError:
        return False


# ------------------------------------------------------------------------------------------- network, sockets


@probe
def tcp_loopback():
    return socket.create_connection(("127.0.0.1", PORT), 2) is not None


@probe
def tcp_out():
    return socket.create_connection(("192.0.2.1", 80), 0.5) is not None


@probe
def tcp6_loopback():
    return socket.create_connection(("::ffff:127.0.0.1", PORT), 2) is not None


@probe
def udp_loopback():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", UDP))
    return  # the harness looks whether it came


@probe
def unix_path():
    return socket.socket(socket.AF_UNIX).connect(UNIX) is None


@probe
def unix_abstract():
    return socket.socket(socket.AF_UNIX).connect("\0" + ABSTRACT) is None


@probe
def netlink():
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) is not None


@probe
def packet():
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW) is not None


@probe
def vsock():
    return socket.socket(40, socket.SOCK_STREAM) is not None


def _knock(text):
    with socket.create_connection(("127.0.0.1", arguments["outlet"]), 2) as connection:
        connection.sendall(text.encode() + b"\r\n\r\n")
        return b" 200 " in connection.recv(1000).split(b"\r\n")[0]


for name, line in {
    "outlet_loopback": f"CONNECT 127.0.0.1:{PORT} HTTP/1.1",
    "outlet_loopback6": f"CONNECT [::1]:{PORT} HTTP/1.1",
    "outlet_mapped": f"CONNECT [::ffff:127.0.0.1]:{PORT} HTTP/1.1",
    "outlet_localhost": f"CONNECT localhost:{PORT} HTTP/1.1",
    "outlet_number": f"CONNECT 2130706433:{PORT} HTTP/1.1",
    "outlet_metadata": "CONNECT 169.254.169.254:80 HTTP/1.1",
    "outlet_not_granted": "CONNECT example.com:443 HTTP/1.1",
    "outlet_suffix": "CONNECT granted.example.evil.com:443 HTTP/1.1",
    "outlet_prefix": "CONNECT evilgranted.example:443 HTTP/1.1",
    "outlet_nul": "CONNECT granted.example\0.evil.com:443 HTTP/1.1",
    "outlet_plain": f"GET http://127.0.0.1:{PORT}/ HTTP/1.1",
    "outlet_plain_file": "GET file:///etc/passwd HTTP/1.1",
}.items():
    probes[name] = lambda line=line: _knock(line)


@probe
def inherited_socket():
    links = [
        os.readlink(f"/proc/self/fd/{name}")
        for name in os.listdir("/proc/self/fd")
        if os.path.islink(f"/proc/self/fd/{name}")
    ]
    return any(link.startswith("socket:") for link in links)


@probe
def inherited_socket_of_the_first_process():
    links = [os.readlink(f"/proc/1/fd/{name}") for name in os.listdir("/proc/1/fd")]
    return any(link.startswith("socket:") for link in links)


# ------------------------------------------------------------------------------------------- processes, kernel


for name, action in {
    "signal_server": lambda: os.kill(SERVER, 0) is None and _is_server(),
    "ptrace_server": lambda: syscall(101, 16, SERVER, 0, 0),
    "process_vm_readv": lambda: syscall(310, SERVER, 0, 0, 0, 0, 0),
    "pidfd_getfd": lambda: syscall(438, syscall(434, SERVER, 0), 0, 0),
    "core_pattern": lambda: os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY) >= 0,
    "printk": lambda: os.open("/proc/sys/kernel/printk", os.O_WRONLY) >= 0,
    "sysrq": lambda: os.open("/proc/sysrq-trigger", os.O_WRONLY) >= 0,
    "uevent_helper": lambda: os.open("/sys/kernel/uevent_helper", os.O_WRONLY) >= 0,
    "new_user_namespace": lambda: syscall(272, 0x10000000),
    "new_mount_namespace": lambda: syscall(272, 0x00020000),
    "clone_user_namespace": lambda: run("unshare", "-Ur", "true"),
    "mount_tmpfs": lambda: syscall(165, b"x", INSIDE.encode(), b"tmpfs", 0, 0),
    "umount": lambda: syscall(166, b"/proc", 2),
    "remount_root": lambda: syscall(165, b"none", b"/", b"", 32 | 4096, 0),
    "pivot_root": lambda: syscall(155, INSIDE.encode(), INSIDE.encode()),
    "chroot": lambda: syscall(161, b"/"),
    "open_by_handle": lambda: syscall(304, 3, struct.pack("=ii8s", 8, 1, b"\0" * 8), 0),
    "bpf": lambda: syscall(321, 0, struct.pack("=IIII", 1, 4, 4, 1) + b"\0" * 112, 128),
    "io_uring": lambda: syscall(425, 4, ctypes.create_string_buffer(120)),
    "keyring": lambda: syscall(248, b"user", b"probe", b"x", 1, -3),
    "userfaultfd": lambda: syscall(323, 1),
    "perf_event": lambda: syscall(298, ctypes.create_string_buffer(struct.pack("=II", 1, 112), 112), 0, -1, -1, 0),
    "kernel_log": lambda: syscall(103, 10, 0, 0),
    "set_clock": lambda: syscall(227, 0, struct.pack("=qq", 1, 0)),
    "set_host_name": lambda: syscall(170, b"x", 1),
    "load_module": lambda: syscall(313, 0, b"", 0),
    "make_device": lambda: os.mknod(f"{INSIDE}/null", 0o20666, os.makedev(1, 3)) is None and writes(f"{INSIDE}/null"),
    "raw_disk": lambda: any(os.open(f"/dev/{d}", os.O_RDONLY) for d in ("vda", "sda", "mem") if os.path.exists(f"/dev/{d}")),
    "become_root": lambda: os.getuid() != 0 and os.setuid(0) is None,
    "more_capabilities": lambda: "CapEff:\t0000000000000000" not in open("/proc/self/status").read(),
    "push_terminal_input": lambda: _push(),
}.items():  # fmt: skip
    probes[name] = action


def _is_server():
    try:
        with open(f"/proc/{SERVER}/cmdline", "rb") as file:
            return b"escape_harness" in file.read()
    except OSError:
        return arguments["tier"] != "bubblewrap"


def _push():
    import fcntl
    import pty

    fcntl.ioctl(pty.openpty()[1], 0x5412, b"x")
    return True


# ------------------------------------------------------------------------------------------- inside the workspace

if READING:
    probes["write_inside_when_reading"] = lambda: writes(f"{INSIDE}/written")
    probes["read_env_when_reading"] = lambda: reads(f"{INSIDE}/.env")
    probes["read_home_when_reading"] = lambda: reads(f"{HOME}/notes.txt")
    probes["read_outside_when_reading"] = lambda: reads(f"{OUTSIDE}/file")
elif arguments["tier"] == "bubblewrap":
    for name, action in {
        "write_hook": lambda: writes(f"{INSIDE}/.git/hooks/pre-commit"),
        "new_hook": lambda: writes(f"{INSIDE}/.git/hooks/post-checkout"),
        "replace_hook": lambda: writes(f"{INSIDE}/h") and os.replace(f"{INSIDE}/h", f"{INSIDE}/.git/hooks/pre-commit") is None,
        "write_git_config": lambda: writes(f"{INSIDE}/.git/config"),
        "git_config_command": lambda: run("git", "-C", INSIDE, "config", "core.fsmonitor", "evil"),
        "move_git_away": lambda: os.rename(f"{INSIDE}/.git", f"{INSIDE}/.g") is None,
        "move_hooks_away": lambda: os.rename(f"{INSIDE}/.git/hooks", f"{INSIDE}/.git/h") is None,
        "make_worktree_config": lambda: os.unlink(f"{INSIDE}/.git/config.worktree") is None or writes(f"{INSIDE}/.git/config.worktree"),
        "write_editor_settings": lambda: writes(f"{INSIDE}/.vscode/settings.json"),
        "nested_hook": lambda: writes(f"{INSIDE}/sub/.git/hooks/pre-commit"),
        "nested_workflow": lambda: writes(f"{INSIDE}/.github/workflows/ci.yml"),
        "remove_workflows": lambda: os.unlink(f"{INSIDE}/.github/workflows/ci.yml") is None,
    }.items():  # fmt: skip
        probes[name] = action

got_out = {}
for name, function in probes.items():
    try:
        got_out[name] = bool(function())
    except (Exception, SystemExit):
        got_out[name] = False
try:
    works = READING or writes(f"{INSIDE}/works")
except OSError:
    works = False
print("PROBES " + json.dumps({"works": works, "got_out": got_out}))
