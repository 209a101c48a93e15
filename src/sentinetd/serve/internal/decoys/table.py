"""Every decoy by its name in the configuration."""

from __future__ import annotations

from collections.abc import Callable

from sentinetd.model.values import Decoy
from sentinetd.serve.internal.decoys.dialogue import Dialogue, Scene
from sentinetd.serve.internal.decoys.ftp import Ftp
from sentinetd.serve.internal.decoys.http import Http
from sentinetd.serve.internal.decoys.imap import Imap
from sentinetd.serve.internal.decoys.mysql import Mysql
from sentinetd.serve.internal.decoys.pop3 import Pop3
from sentinetd.serve.internal.decoys.rdp import Rdp
from sentinetd.serve.internal.decoys.redis import Redis
from sentinetd.serve.internal.decoys.smtp import Smtp
from sentinetd.serve.internal.decoys.ssh import Ssh
from sentinetd.serve.internal.decoys.telnet import Telnet
from sentinetd.serve.internal.decoys.vnc import Vnc

DECOYS: dict[Decoy, Callable[[Scene], Dialogue]] = {
    Decoy.FTP: Ftp,
    Decoy.SSH: Ssh,
    Decoy.TELNET: Telnet,
    Decoy.SMTP: Smtp,
    Decoy.POP3: Pop3,
    Decoy.IMAP: Imap,
    Decoy.HTTP: Http,
    Decoy.REDIS: Redis,
    Decoy.MYSQL: Mysql,
    Decoy.VNC: Vnc,
    Decoy.RDP: Rdp,
}
"""What plays each service: the scene in, one client's talk out."""
