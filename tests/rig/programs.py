"""Ordinary standalone servers in a lab's host namespace: the ones that a table of a host has to name."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from rig.daemon import Work
from rig.deadline import wait_for
from rig.network import Lab

NGINX = """\
daemon off;
pid {work}/nginx.pid;
error_log {work}/nginx.log;
user nobody nogroup;
worker_processes 1;
events {{ worker_connections 16; }}
http {{
    access_log off;
    client_body_temp_path {work}/nginx; proxy_temp_path {work}/nginx; fastcgi_temp_path {work}/nginx;
    uwsgi_temp_path {work}/nginx; scgi_temp_path {work}/nginx;
    server {{ {listen} return 200 "nginx\\n"; }}
}}
"""


class Programs:
    """The servers that a test has started; `close` ends them."""

    def __init__(self, lab: Lab, work: Work) -> None:
        self._lab = lab
        self._work = work
        self._running: list[subprocess.Popen[bytes]] = []

    def nginx(self, *listen: str) -> None:
        """nginx at each of *listen* (its own directive's words)."""
        (self._work.path / "nginx").mkdir()
        text = NGINX.format(work=self._work.path, listen="".join(f"listen {one}; " for one in listen))
        self._start("nginx", "-c", str(self._work.write("nginx.conf", text)))
        self._await(int(listen[0].rpartition(":")[2].split()[0]))

    def sshd(self, address: str, port: int) -> None:
        """OpenSSH's server at one address."""
        key = self._work.path / "host_key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        text = f"ListenAddress {address}:{port}\nHostKey {key}\nPidFile none\nUsePAM no\n"
        Path("/run/sshd").mkdir(exist_ok=True)  # it insists on this one
        self._start("/usr/sbin/sshd", "-D", "-e", "-f", str(self._work.write("sshd_config", text)))
        self._await(port)

    def _start(self, *words: str) -> None:
        with (self._work.path / "programs.log").open("ab") as log:
            self._running.append(
                subprocess.Popen(self._lab.host.command(*words), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            )

    def _await(self, port: int) -> None:
        """Wait until something listens on *port*."""
        listing = self._lab.host.command("ss", "-Hltn", f"sport = :{port}")

        def there() -> bool:
            return bool(subprocess.run(listing, capture_output=True, check=True).stdout)

        wait_for(there, lambda: (self._work.path / "programs.log").read_text(), 30.0)

    def close(self) -> None:
        """End all of them."""
        for process in self._running:
            process.terminate()
            process.wait()
        shutil.rmtree(self._work.path / "nginx", ignore_errors=True)
