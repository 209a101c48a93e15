"""Where sentinetd differs from xinetd on purpose. A case that shows a difference names its row here."""

from __future__ import annotations

DEPARTURES: dict[str, str] = {
    "narrowest wins": (
        "xinetd refuses a source that both only_from and no_access hold; the manual promises that the better match "
        "decides, so here the narrower word wins and a tie denies."
    ),
    "trip before limits": (
        "xinetd judges cps, times, load and instances before the sensor, so a flood blinds it; here a trip is "
        "judged first and a sensor is never switched off."
    ),
    "later end replaces": ("In xinetd a second trip never lengthens a ban; here a later end replaces an earlier one."),
    "exactly the source": ("In xinetd a trip from x.y.z.0 bans the whole /24; here exactly the source is banned."),
    "bans are kept": ("xinetd loses its bans at restart; here they are kept, and FOREVER means until lifted."),
    "own are exempt": (
        "In xinetd nothing can be exempted; here loopback, the host's own addresses, its gateways and resolvers, "
        "and what is listed as exempt are never banned, though the trip is told."
    ),
    "datagrams only tell": (
        "In xinetd one forgeable datagram bans its supposed sender; here a datagram sensor reports, and bans only "
        "with deny_dgram = yes."
    ),
    "one spelling": (
        "xinetd knows an IPv4 client of a dual-stack listener by its mapped address, in logs, in REMOTE_HOST and "
        "in its lists, so that a ban made there does not hold elsewhere; here a source has one spelling, IPv4."
    ),
    "a trip is told": (
        "With deny_time = NEVER xinetd writes nothing unless log_on_failure is set; here a trip is always told in "
        "the daemon's log."
    ),
    "no start, no exit": ("xinetd logs START, FAIL and EXIT for a refusal in its child; here there is one FAIL line."),
    "reload judges again": (
        "xinetd's HUP leaves running servers alone; here they are judged again by addresses, times and instances, "
        "as the manual says."
    ),
    "end ends servers": ("xinetd's TERM leaves servers running; here they end, as the manual says."),
    "bad file changes nothing": (
        "A bad defaults entry ends xinetd, also at reload, with status 0; here it is status 1 at start and changes "
        "nothing at reload."
    ),
    "refused without fork": ("xinetd accepts a banned client, forks and hangs up; here it is refused without a fork."),
    "addresses before limits": (
        "xinetd counts refused sources against its limits; here numeric addresses are judged first and refused "
        "sources count for nothing."
    ),
    "one line a minute": (
        "xinetd logs each refusal of a banned client and shows it the banner; here it is one FAIL line for each "
        "source and service in a minute, and no banner."
    ),
    "waiting stream filtered": (
        "xinetd does not judge lists and bans of a waiting stream service, or refuses everybody; here they filter "
        "the listener's connections."
    ),
    "exactly that datagram": (
        "A refused datagram leaves xinetd's waiting service hanging or empties its queue; here exactly the refused "
        "datagram is consumed."
    ),
    "never drained": (
        "When a waiting server ends, xinetd throws away every datagram that waits; here nothing is ever drained, "
        "and the next one is served."
    ),
    "dgram waits": ("A datagram service with wait = no destroys itself in xinetd; here it is run as wait = yes."),
    "names normalised": ("Names of /etc/hosts never match a client of xinetd's dual-stack listener; here they do."),
    "network names": (
        "xinetd matches a name of /etc/networks only against the network's own address; here the mask follows from "
        "the address, as the manual says."
    ),
    "v6 full length": ("In xinetd an IPv6 word of length 128 matches nothing; here it matches its address."),
    "dropped words deny": (
        "xinetd drops a word of no_access that it cannot read and admits everybody; here the entry is refused."
    ),
    "v6only means it": (
        "In xinetd v6only switches the option on whether it says yes or no; here it means what it says."
    ),
    "bind keeps its family": (
        "A bind address of one family with the flag of the other makes xinetd listen everywhere; here the entry is "
        "refused."
    ),
    "defaults reach all": ("Lists of a defaults entry do not reach services that xinetd read before it; here they do."),
    "sensor needs no type": (
        "xinetd refuses a sensor without type = INTERNAL, though the manual asks for none; here it is accepted."
    ),
    "limits before user": (
        "xinetd sets nice and limits after it became the user, and fails silently; here they are set before."
    ),
    "exec failure told": ("A server that cannot be executed ends with status 0 in xinetd's log; here it does not."),
    "midnight": ("xinetd knows neither 24:00 nor an interval that passes midnight; here both are understood."),
    "carriage returns": (
        "In a CRLF file every value is wrong to xinetd; here the carriage return is dropped, with a warning."
    ),
    "argument order": ("NAMEINARGS after server_args crashes every child of xinetd; here the order does not matter."),
    "stray line": (
        "A stray line, or an entry without its closing brace, makes xinetd swallow the following entry; here reading "
        "goes on at the next keyword."
    ),
    "byte order mark": "A byte order mark hides the first line from xinetd; here it is dropped, with a warning.",
    "nothing restrictive is lost": (
        "xinetd passes over a line of defaults that it cannot parse, also one of only_from, and so serves everybody; "
        "here such a line of an attribute that keeps somebody out keeps the daemon from starting."
    ),
    "soft limit told": (
        "xinetd never tells that a log passed its soft limit, and tells each line lost to the hard one; here each "
        "is told once."
    ),
    "log failure named": ("xinetd does not say which log could not be opened; here file and cause are named."),
    "sensors ignore wait": (
        "A waiting stream sensor makes xinetd spin and bans nobody; here a sensor is served the same whatever wait "
        "says."
    ),
    "filelog reopened": ("xinetd keeps writing to a -filelog that was renamed; here it is opened again at HUP."),
    "interrupt ends": ("xinetd ignores SIGINT in the foreground; here it is as TERM."),
    "tcp and udp are known": "Without /etc/protocols xinetd knows no protocol; here tcp and udp are known.",
    "a mistake stays one": (
        "In xinetd disable = no, or enabled, behind a bad value lets the service run without that line; here the entry "
        "is refused."
    ),
    "empty disable": ("`disable =` without a value leaves the service running in xinetd; here the entry is refused."),
    "carried without a process": (
        "Each connection of echo, discard and chargen is a process of xinetd's; here one process carries them all."
    ),
    "no loops of datagrams": (
        "xinetd answers a datagram from the port of echo, chargen or its like, and so for ever; here it does not."
    ),
    "answers are paced": (
        "xinetd answers as many datagrams as come in one source's name; here it is 50 in a second, since the source "
        "may be forged."
    ),
    "lists are served": ("The internal services `services` and `servers`, gone since xinetd 2.3.12, are here again."),
    "limits of the chosen service": (
        "xinetd judges a service behind tcpmux by its address lists alone; here all its limits hold."
    ),
    "the chosen service is logged": (
        "xinetd logs tcpmux, whatever is served, and no refusal; here the chosen service is logged."
    ),
    "no NUL after an answer": ("xinetd's tcpmux sends a NUL after each answer; here there is none, as in RFC 1078."),
    "the multiplexer helps": ("xinetd's tcpmux does not know HELP; here it is answered as RFC 1078 has it."),
    "a name as it comes": (
        "xinetd's tcpmux takes the name only in one piece, with CR LF and nothing after it; here it may come in "
        "pieces, end with LF alone, and what follows it is the service's."
    ),
    "a name is printable": ("xinetd's tcpmux looks for any bytes as a name; here what is not printable is hung up on."),
    "announced in every case": (
        "The +Go of an internal TCPMUXPLUS service is lost in xinetd or comes too late; here it comes first."
    ),
    "members may be listed": (
        "xinetd refuses a TCPMUX service that is not UNLISTED, as in its manual's own example; here it is accepted."
    ),
    "credentials are set once": (
        "A tcpmux with a user keeps xinetd from giving the chosen service another; here it gets its own."
    ),
    "half-close is kept": (
        "xinetd ends a redirect when either side ends; here a side that has said everything still hears the answer."
    ),
    "looked up when it is wanted": (
        "xinetd looks the target of a redirect up once, and drops the service if that fails; here it is looked up "
        "for the connections."
    ),
    "no shell commands": (
        "The library of tcp wrappers runs the commands of spawn and twist; here spawn is passed over, with a warning, "
        "and twist refuses."
    ),
    "rules have a place": ("xinetd does not say which rule of hosts.deny refused; here its file and line are told."),
    "banners hold nobody up": ("A client that does not read a long banner stops all of xinetd; here only itself."),
    "asked for whoever was refused": (
        "xinetd asks for the user of a refused client only where its parent refuses; here wherever it was refused."
    ),
    "logprocs holds": ("xinetd never enforces -logprocs; here it is the most refused clients asked for at once."),
    "attributes of ours": ("xinetd passes over an attribute that it does not know, and tells so; here it is in force."),
    "enabled and disabled shrink": "xinetd takes -= of enabled and disabled for +=; here it removes.",
    "raw sockets are served": (
        "A raw service spins in xinetd, since it has no client that could be judged; here its server is started."
    ),
    "interception works": "xinetd cannot start the server of an intercepted service; here it is served.",
    "attributes of other builds": (
        "Debian's xinetd is built without mdns, tells of the attribute and passes it over; here it is known."
    ),
    "a waiting stream and rules": (
        "xinetd takes the clients of a waiting stream service for one unknown host; here, while hosts.allow or "
        "hosts.deny has rules, such a service is refused, unless it has NOLIBWRAP or INTERCEPT."
    ),
}
