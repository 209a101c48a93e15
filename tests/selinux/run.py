"""LABELED on a kernel with SELinux: boots one under QEMU, with ``guest.py`` as its first process, and judges it.

The kernel is Debian's, unpacked and not installed; KERNEL names another one, with SELinux and NetLabel built in.
Nothing of the machine that this runs on is changed, and it need not have SELinux itself.
"""

from __future__ import annotations

import gzip
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import sentinetd

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = ROOT / ".cache/selinux"
PACKAGES = {
    "qemu-system-x86_64": "qemu-system-x86",
    "checkpolicy": "checkpolicy",
    "netlabelctl": "netlabel-tools",
}
"""What is needed, by the Debian package that has it."""

MACHINE = shlex.split("-accel tcg -cpu max -m 1024 -smp 1 -nic none -no-reboot -display none -serial stdio")
WORDS = "console=ttyS0 loglevel=3 lsm=selinux enforcing=0 audit=0 random.trust_cpu=on panic=-1"
POLICY_VERSION = "33"  # what Linux 6.1 reads
WITHIN = 300  # seconds, for a machine that is emulated on one that is busy
NOT_NEEDED = {"test", "idlelib", "tkinter", "ensurepip", "lib2to3", "site-packages", "dist-packages", "turtledemo"}
PROGRAMS = ("/bin/cat", "/usr/sbin/netlabelctl")
FILES = {
    "etc/passwd": "root:x:0:0::/:/bin/cat\nnobody:x:65534:65534::/:/bin/cat\nsentinetd:x:101:101::/:/bin/cat\n"
    "sentinetd-porter:x:102:102::/:/bin/cat\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\nsentinetd:x:101:\nsentinetd-porter:x:102:\n",
    "etc/protocols": "tcp 6 TCP\nudp 17 UDP\n",
    "etc/services": "",
}


def kernel() -> Path:
    """The kernel's file, fetched once."""
    if named := os.environ.get("KERNEL"):
        return Path(named)
    found = sorted(CACHE.glob("kernel/boot/vmlinuz-*"))
    if not found:
        fetch()
        found = sorted(CACHE.glob("kernel/boot/vmlinuz-*"))
    return found[-1]


def fetch() -> None:
    """Unpack Debian's kernel for virtual machines into the cache."""
    command = ["apt-cache", "depends", "linux-image-cloud-amd64"]
    depends = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (package,) = re.findall(r"Depends: (linux-image-\S+)", depends)
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as directory:
        subprocess.run(["apt-get", "download", "-q", package], cwd=directory, check=True)
        (archive,) = Path(directory).glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", archive, CACHE / "kernel"], check=True)


def needed_by(program: str | Path) -> Iterator[Path]:
    """The shared libraries of a program or library, its loader among them."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    yield from map(Path, re.findall(r"(?:=> |^\s+)(/\S+) \(", listed, re.MULTILINE))


def files_of(directory: Path) -> Iterator[Path]:
    """What runs of a directory of Python modules, compiled ones among it."""
    for path in directory.rglob("*"):
        if path.is_file() and ".opt-" not in path.name and NOT_NEEDED.isdisjoint(path.relative_to(directory).parts):
            yield path


def tree(policy: Path) -> Iterator[tuple[str, Path | str]]:
    """What the machine has: paths in it, and the files here or texts that they are."""
    python = Path(sys.executable).resolve()
    modules = list(files_of(Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}))))
    programs = {str(python): python, **{place: Path(shutil.which(Path(place).name) or place) for place in PROGRAMS}}
    libraries = {
        library for path in (*programs.values(), *modules) if path.suffix != ".py" for library in needed_by(path)
    }
    yield from programs.items()
    for path in (*modules, *libraries):
        yield str(path), path
    ours = sysconfig.get_path("purelib", vars={"base": sys.base_prefix})
    package = Path(sentinetd.__file__).parent  # with the spawner, which an installation builds there
    for path in files_of(package):
        yield f"{ours}/sentinetd/{path.relative_to(package)}", path
    for name in ("spawn/guard.py", "rig/deadline.py"):
        yield f"{ours}/{name}", ROOT / "tests" / name
    yield "/policy", policy
    yield "/init", f"#!{python} -I\n" + (HERE / "guest.py").read_text()
    yield from FILES.items()


def archive(files: Iterator[tuple[str, Path | str]]) -> bytes:
    """An initramfs: cpio(5) in the new portable format."""
    parts: list[bytes] = []
    seen: set[str] = set()

    def add(name: str, mode: int, data: bytes, modified: int = 0) -> None:
        if name in seen:
            return
        seen.add(name)
        raw = name.encode() + b"\0"
        numbers = (len(seen), mode, 0, 0, 1, modified, len(data), 0, 0, 0, 0, len(raw), 0)
        head = b"070701" + b"".join(b"%08X" % number for number in numbers) + raw
        parts.extend((head, bytes(-len(head) % 4), data, bytes(-len(data) % 4)))

    for place, content in files:
        path = Path(place.strip("/"))
        for parent in reversed(path.parents[:-1]):
            add(str(parent), 0o040755, b"")
        if isinstance(content, Path):
            add(str(path), 0o100755, content.read_bytes(), int(content.stat().st_mtime))  # what compiled modules go by
        else:
            add(str(path), 0o100755, content.encode())
    add("TRAILER!!!", 0, b"")
    return gzip.compress(b"".join(parts), 1)


def boot(directory: Path) -> str:
    """All that the machine says on its console until it is off."""
    policy, disk = directory / "policy", directory / "initramfs"
    command = ["checkpolicy", "-M", "-U", "allow", "-c", POLICY_VERSION, "-o", str(policy), str(HERE / "policy.conf")]
    made = subprocess.run(command, capture_output=True, text=True, check=False)  # it warns of each initial SID not used
    if made.returncode:
        return made.stdout + made.stderr
    disk.write_bytes(archive(tree(policy)))
    command = ["nice", "qemu-system-x86_64", *MACHINE, "-kernel", str(kernel()), "-initrd", str(disk), "-append", WORDS]
    try:
        run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=WITHIN, check=False)
    except subprocess.TimeoutExpired as error:
        return f"{(error.stdout or b'').decode(errors='replace')}\nnot off within {WITHIN} s"
    return (run.stdout + run.stderr).decode(errors="replace").replace("\r", "")


def main() -> int:
    missing = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if missing:
        print(f"make selinux: SKIPPED, nothing was tested: apt install {' '.join(missing)}", file=sys.stderr)
        return 0
    if "KERNEL" not in os.environ and shutil.which("apt-get") is None:
        print("make selinux: SKIPPED, nothing was tested: no apt-get to fetch a kernel by; set KERNEL", file=sys.stderr)
        return 0
    with tempfile.TemporaryDirectory() as directory:
        console = boot(Path(directory))
    verdicts = re.findall(r"^(PASS|FAIL) .*", console, re.MULTILINE)
    print(console)
    if "\nDONE" not in console or "FAIL" in verdicts or not verdicts:
        print(f"make selinux: FAILED, {verdicts.count('PASS')} cases passed", file=sys.stderr)
        return 1
    print(f"make selinux: {len(verdicts)} cases passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
