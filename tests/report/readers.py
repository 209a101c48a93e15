"""What other programs make of our formats: one check for each, by a schema or a parser that is not ours.

Each takes what the format gave and the event it was given, and raises if that is not well-formed or says something
else.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pycef
import stix2
from idmefv2 import Message
from jsonschema import Draft202012Validator, FormatChecker
from lxml import etree
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
from syslog_rfc5424_parser import SyslogMessage

from report.samples import OBSERVER
from sentinetd.model.events import Event
from sentinetd.report.escape import escape
from sentinetd.report.formats.outline import outline
from sentinetd.report.schema import schema

DATA = Path(__file__).parent / "data"
IDMEF = "{http://iana.org/idmef}"


def strictly(line: str) -> Any:
    """*line* as RFC 8259 has it, without what Python's reader takes besides: NaN and lone surrogates."""

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no JSON")

    value = json.loads(line, parse_constant=refuse)
    json.dumps(value, ensure_ascii=False).encode("utf-8")  # UnicodeEncodeError for half a surrogate pair
    return value


def members(event: Event) -> dict[str, Any]:
    return {key: value for key, value in outline(event, OBSERVER).members.items() if value not in (None, "")}


def read_text(line: str, event: Event) -> None:
    assert outline(event, OBSERVER).summary == line


@cache
def closed(kind: str) -> Draft202012Validator:
    """The published schema of one *kind* of event, and no member that it does not name."""
    rule = schema()["$defs"][kind]
    return Draft202012Validator({**rule, "additionalProperties": False}, format_checker=FormatChecker())


def read_json(line: str, event: Event) -> None:
    value = strictly(line)
    closed(event.kind).validate(value)
    assert value["kind"] == event.kind


RFC5424 = re.compile(
    r"<\d{1,3}>1 \S+ [!-~]{1,255} [!-~]{1,48} [!-~]{1,128} [!-~]{1,32} "
    r"""(\[[^= \]"]{1,32}( [^= \]"]{1,32}="([^"\\\]]|\\["\\\]])*")*\])+ [ -~]+"""
)
"""Section 6's grammar, as far as we use it."""


def read_rfc5424(line: str, event: Event) -> None:
    assert RFC5424.fullmatch(line)
    if '\\\\"' in line:
        return  # a value that ends in a backslash: the grammar of the parser takes its end for an escaped quote
    message = SyslogMessage.parse(line).as_dict()
    assert (message["version"], message["msgid"], message["appname"]) == (1, event.kind, OBSERVER.ident)
    assert message["msg"] == outline(event, OBSERVER).summary
    assert message["sd"]["origin"] == {"software": "sentinetd", "swVersion": OBSERVER.version}
    told = message["sd"]["sentinetd@32473"]
    for key, value in members(event).items():
        if isinstance(value, str):  # the parser leaves escapes as they are (it says so); RFC 5424 section 6.3.3
            assert re.sub(r'\\(["\\\]])', r"\1", told[key]) == escape(value)[:1024]


def read_cef(line: str, event: Event) -> None:
    value = pycef.parse(line)
    assert value["DeviceEventClassID"] == event.kind
    assert value["CEFVersion"] == "0"
    assert 0 <= int(value["Severity"]) <= 10
    unquoted = re.sub(r"\\(.)", r"\1", value["msg"])
    assert unquoted == outline(event, OBSERVER).summary[:1023].strip()


@cache
def ecs_fields() -> dict[str, dict[str, Any]]:
    fields: dict[str, dict[str, Any]] = json.loads((DATA / "ecs.json").read_text())["fields"]
    return fields


def flat(value: dict[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, one in value.items():
        found |= flat(one, f"{before}{key}.") if isinstance(one, dict) else {before + key: one}
    return found


def read_ecs(line: str, event: Event) -> None:
    value = strictly(line)
    del value["sentinetd"]  # custom fields, under the product's name as the schema's guidelines have it
    types = {
        "date": lambda one: re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", one),
        "keyword": lambda one: isinstance(one, str),
        "match_only_text": lambda one: isinstance(one, str),
        "long": lambda one: type(one) is int and -(2**63) <= one < 2**63,
        "ip": lambda one: FormatChecker().conforms(one, "ipv4") or FormatChecker().conforms(one, "ipv6"),
    }
    for name, said in flat(value).items():
        rule = ecs_fields()[name]
        assert isinstance(said, list) == bool(rule.get("array")), name
        for one in said if isinstance(said, list) else [said]:
            assert types[rule["type"]](one), (name, one)
            assert one in rule.get("allowed", [one]), (name, one)
    for category in value["event"]["category"]:
        expected = ecs_fields()["event.category"]["types"][category]
        assert set(value["event"]["type"]) <= set(expected), (category, value["event"]["type"])


@cache
def ocsf_validator(class_: str, *profiles: str) -> Draft202012Validator:
    known = OcsfJsonSchemaEmbedded(get_ocsf_schema("1.8.0"))
    return Draft202012Validator(known.get_class_schema(class_, list(profiles)))


OCSF_CLASSES = {4001: "network_activity", 6002: "application_lifecycle", 7004: "network_remediation_activity"}


def read_ocsf(line: str, event: Event) -> None:
    value = strictly(line)
    ocsf_validator(OCSF_CLASSES[value["class_uid"]], *value["metadata"]["profiles"]).validate(value)
    assert value["type_uid"] == 100 * value["class_uid"] + value["activity_id"]


@cache
def idmef_type() -> etree.DTD:
    with (DATA / "idmef.dtd").open("rb") as file:
        return etree.DTD(file)


def read_idmef(line: str, event: Event) -> None:
    root = etree.fromstring(line.encode("ascii"))
    assert idmef_type().validate(root), idmef_type().error_log
    told = {one.get("meaning"): one[0].text for one in root.iter(f"{IDMEF}AdditionalData")}
    for key, value in members(event).items():
        if isinstance(value, str):
            assert (told[key] or "") == escape(value)


@cache
def idmef2_validator() -> Draft202012Validator:
    """The library reads its schema anew for each message: it does for the samples, for any events this one does."""
    import idmefv2

    drafts = Path(idmefv2.__file__).parent / "schemas" / "drafts" / "IDMEFv2"
    return Draft202012Validator(json.loads((drafts / "08" / "IDMEFv2.schema").read_text()))


def read_idmef2(line: str, event: Event) -> None:
    value = strictly(line)
    idmef2_validator().validate(value)
    assert json.loads(value["Note"])["kind"] == event.kind


def read_idmef2_by_its_library(line: str) -> None:
    message = Message()
    message.update(json.loads(line))
    message.validate()


def read_stix(line: str, event: Event) -> None:
    strictly(line)
    found = stix2.parse(line, allow_custom=False)
    assert found.type == "bundle"
    known = {one.id for one in found.objects}
    for one in found.objects:
        assert set(one.get("object_refs", [])) <= known
        assert one.get("created_by_ref", found.objects[0].id) == found.objects[0].id


READERS: dict[str, Callable[[str, Event], None]] = {
    "text": lambda line, event: None,
    "json": read_json,
    "xinetd": lambda line, event: None,
    "rfc5424": read_rfc5424,
    "cef": read_cef,
    "ecs": read_ecs,
    "ocsf": read_ocsf,
    "idmef": read_idmef,
    "idmef2": read_idmef2,
    "stix": read_stix,
}

JOURNAL_REMOTE = "/lib/systemd/systemd-journal-remote"


def through_the_journal(entries: Sequence[bytes], directory: Path) -> list[dict[str, Any]]:
    """What journalctl gives of *entries*, which came to a journal in the form that the native protocol shares with the
    journal's export format (systemd's Journal Export Formats)."""
    file = directory / "external.journal"
    shutil.rmtree(file, ignore_errors=True)
    head = b"__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=" + b"0" * 31 + b"1\n"
    export = b"".join(
        head % (1_700_000_000_000_000 + number, 1 + number) + entry + b"\n" for number, entry in enumerate(entries)
    )
    subprocess.run([JOURNAL_REMOTE, f"--output={file}", "-"], input=export, check=True, capture_output=True, timeout=60)
    told = subprocess.run(
        ["journalctl", f"--file={file}", "--output=json", "--all"], check=True, capture_output=True, timeout=60
    )
    return [json.loads(line) for line in told.stdout.splitlines()]


def said(value: Any) -> bytes:
    """The bytes of a field as journalctl tells it in JSON: text where it is printable UTF-8, else a list of numbers."""
    return value.encode() if isinstance(value, str) else bytes(value)
