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
    "an entry without end": (
        "xinetd drops an entry that never ends and goes on; here, since nobody can tell how far it was meant to go, "
        "it keeps the daemon from starting, and changes nothing at reload."
    ),
    "stray line": ("A stray line makes xinetd swallow the following entry; here reading goes on at the next keyword."),
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
    "empty disable": ("`disable =` without a value leaves the service running in xinetd; here the entry is refused."),
}
