"""A real rsyslog in a lab's host namespace, by TCP, TLS and UDP: what it understood of each message as one line."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from rig.deadline import wait_for
from rig.network import Lab
from rig.receivers import Authority

TCP, TLS, UDP = 10601, 16514, 10514
CONFIG = """\
global(workDirectory="{work}"
       DefaultNetstreamDriver="ossl" DefaultNetstreamDriverCAFile="{ca}"
       DefaultNetstreamDriverCertFile="{certificate}" DefaultNetstreamDriverKeyFile="{key}")
module(load="imtcp")
module(load="imudp")
template(name="seen" type="list" option.jsonf="on") {{
    property(outname="by" name="inputname" format="jsonf")
    property(outname="pri" name="pri" format="jsonf")
    property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
    property(outname="host" name="hostname" format="jsonf")
    property(outname="app" name="app-name" format="jsonf")
    property(outname="pid" name="procid" format="jsonf")
    property(outname="msgid" name="msgid" format="jsonf")
    property(outname="data" name="structured-data" format="jsonf")
    property(outname="msg" name="msg" format="jsonf")
}}
ruleset(name="all") {{ action(type="omfile" file="{out}" template="seen") }}
input(type="imtcp" name="tcp" address="127.0.0.1" port="{tcp}" ruleset="all")
input(type="imtcp" name="tls" address="127.0.0.1" port="{tls}" ruleset="all"
      streamdriver.name="ossl" streamdriver.mode="1" streamdriver.authmode="anon")
input(type="imudp" name="udp" address="127.0.0.1" port="{udp}" ruleset="all")
"""


class Rsyslog:
    """Runs until `close`. Its files are in *directory*."""

    def __init__(self, lab: Lab, directory: Path, authority: Authority) -> None:
        self.out = directory / "rsyslog.out"
        self._errors = directory / "rsyslog.errors"
        config = directory / "rsyslog.conf"
        config.write_text(
            CONFIG.format(
                work=directory, ca=authority.ca, certificate=authority.certificate, key=authority.key, out=self.out,
                tcp=TCP, tls=TLS, udp=UDP,
            )
        )  # fmt: skip
        words = ["rsyslogd", "-n", "-f", str(config), "-i", str(directory / "rsyslog.pid")]
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(lab.host.command(*words), stdout=errors, stderr=errors)
        wait_for(lambda: self._listens(lab), lambda: f"rsyslog: {self._errors.read_text()}", 20.0)

    @staticmethod
    def _listens(lab: Lab) -> bool:
        shown = subprocess.run(lab.host.command("ss", "-Hltn"), capture_output=True, text=True, check=True).stdout
        return all(f":{port} " in shown for port in (TCP, TLS))

    def seen(self) -> list[dict[str, Any]]:
        """What it understood up to now."""
        if not self.out.exists():
            return []
        return [json.loads(line) for line in self.out.read_text().splitlines() if line.endswith("}")]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
