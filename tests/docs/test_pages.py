"""The documentation: generated pages are as the program is, examples load, links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.pages import DOCS, ROOT, blocks, pages
from sentinetd.cli.convert.source import STANDARD_INPUT, Paper, Source
from sentinetd.config.host import Host
from sentinetd.config.load import load
from sentinetd.config.toml import read_settings
from sentinetd.model.diagnostic import Level

EXAMPLES = [
    pytest.param(text, id=f"{page.stem}-{number}")
    for page in pages()
    for number, text in enumerate(blocks(page, "xinetd"), 1)
]


def machine(data: bytes) -> Paper:
    """One that has every user and program; standard input is *data*."""
    return Paper(Host(os.environ), Source(STANDARD_INPUT, data))


def test_generated_pages_are_as_the_program_is() -> None:
    command = [sys.executable, str(ROOT / "scripts/reference.py"), "--check", str(DOCS / "reference")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), "run `make reference`"


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_entry_loads(text: str, tmp_path: Path) -> None:
    written = text.replace("includedir /etc/xinetd.d", f"includedir {tmp_path}")
    loaded = load(STANDARD_INPUT, machine(written.encode()))
    assert not [str(one) for one in loaded.diagnostics if one.level is not Level.NOTICE]
    assert len(loaded.services) == len(re.findall(r"^service ", text, re.MULTILINE))


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 9


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_settings_are_read(page: Path, tmp_path: Path) -> None:
    for text in blocks(page, "toml"):
        file = tmp_path / "sentinetd.toml"
        file.write_text(text)
        file.chmod(0o600)
        assert not read_settings(str(file), machine(b""), required=True).diagnostics


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith(("http:", "https:")):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text()
    assert [page for page in pages() if f": {page.relative_to(DOCS)}\n" not in navigation + "\n"] == []


def test_nothing_is_fetched_from_elsewhere() -> None:
    settings = (ROOT / "mkdocs.yml").read_text()
    assert "font: false" in settings
    assert "http" not in settings
    foreign = r"!\[[^]]*\]\((?!images/)|<(img|script|link)\b"
    assert not [page for page in pages() if re.search(foreign, page.read_text())]
    assert not [one for one in (ROOT / "docs" / "images").iterdir() if "<script" in one.read_text()]
