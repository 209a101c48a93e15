"""What logs call a service, as a port: by the operator's word, by services(5), by the jails that fail2ban ships."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sentinetd.cli.plan.ground import Port
from sentinetd.cli.plan.survey import Survey, read_ports
from sentinetd.cli.plan.targets import targets
from sentinetd.errors import UsageError
from sentinetd.net.sock_diag import TCP

JAILS: Mapping[str, int] = {
    "sshd": 22, "dropbear": 22, "selinux-ssh": 22, "vsftpd": 21, "proftpd": 21, "pure-ftpd": 21, "wuftpd": 21,
    "gssftpd": 21, "postfix": 25, "sendmail": 25, "exim": 25, "dovecot": 143, "courier": 143, "cyrus-imap": 143,
    "apache": 80, "nginx": 80, "lighttpd": 80, "php-url-fopen": 80, "asterisk": 5060, "freeswitch": 5060,
    "mysqld": 3306, "mongodb": 27017, "squid": 3128, "webmin": 10000, "named": 53,
}  # fmt: skip
"""Jails that fail2ban ships (jail.conf), by how their names begin; each also watches ports that are not named here."""


class Names:
    """Gives the port that a name means. *given*: the operator's own, as NAME=PORT. `UsageError` if one is not that."""

    def __init__(self, survey: Survey, given: Sequence[str]) -> None:
        self._host = survey.host
        self._given: dict[str, Port] = {}
        for word in given:
            name, equals, text = word.partition("=")
            ports = read_ports(text, survey.host) if equals and text else ()
            if not name or len(ports) != 1:
                raise UsageError(f"--as: {word} is not NAME=PORT; write what the log says and one port, as sshd=22")
            self._given[name] = ports[0]
        self._known = {target.name: port for port, target in targets().items()}

    def __call__(self, name: str) -> Port | None:
        """None where nobody knows."""
        if name in self._given:
            return self._given[name]
        for spelled in (name, re.sub(r"[-_.]?\d+$", "", name)):
            if spelled in self._known:
                return self._known[spelled]
            number = self._host.port(spelled, "tcp")
            if number is not None:
                return Port(TCP, number)
        return next((Port(TCP, port) for jail, port in JAILS.items() if name.lower().startswith(jail)), None)
