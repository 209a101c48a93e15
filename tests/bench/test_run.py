"""The benchmark runs, checks every connection and writes its reports. How fast anything was is not judged."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
WORKLOADS = ["internal daytime", "serve hello as nobody, 32"]
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="it makes namespaces")


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, BENCH / "run.py", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


def test_a_first_look_measures_both_daemons_and_the_limit(tmp_path: Path) -> None:
    some = ["--quick", "--rounds", "1", "--seconds", "0.1", "--results", str(tmp_path)]
    done = bench(*some, "--only", "xinetd", "sentinetd", "C loop", "--only-workload", *WORKLOADS)
    assert done.returncode == 0, done.stdout + done.stderr
    (report,) = tmp_path.glob("*.json")
    measured = json.loads(report.read_text())
    who = {"xinetd", "sentinetd", "C loop"}
    for workload in ("internal daytime", "serve hello as nobody, 32 clients"):
        samples = {name: one["samples"][0] for name, one in measured["workloads"][workload].items()}
        assert samples.keys() == who
        assert all(one["connections"] > 0 and one["failures"] == 0 for one in samples.values()), samples
        assert all(sum(one["own_cpu"].values()) > 0 for one in samples.values()), "CPU is counted"
    assert "serve hello as nobody, 1 client" not in measured["workloads"], "it was not asked for"
    judged = {(row["work"], row["against"]): row["verdict"] for row in measured["targets"]}
    assert judged["internal daytime", "xinetd"] in ("goal met", "floor met", "missed")
    assert judged["internal echo", "xinetd"] == "not measured"
    assert "| internal daytime | xinetd | 0.8 | 1.1 |" in report.with_suffix(".md").read_text()
    page_of(report, tmp_path / "performance.md")


def page_of(report: Path, page: Path) -> None:
    """The documentation's page is written from the report, and from one of the curves."""
    points = {"10": {"median": 1e-4, "low": 9e-5, "high": 2e-4}, "1000": {"median": 1.5e-4, "low": 1e-4, "high": 2e-4}}
    curves = {
        "facts": {"time": "2026-01-01 12:00", "machine": "a machine"},
        "titles": {"services": "services"},
        "curves": {"services": {"served": {"sentinetd": points}}},
    }
    (page.parent / "curves.json").write_text(json.dumps(curves))
    words = ["--runs", report, "--curves", page.parent / "curves.json", "--page", page, "--no-picture"]
    subprocess.run([sys.executable, BENCH / "page.py", *words], check=True, timeout=30)
    text = page.read_text()
    assert "| services | 1.50 (10 to 1,000) | - |" in text
    assert "| internal daytime | xinetd | 0.8 | 1.1 |" in text
    assert "| serve hello as nobody, 32 clients | C loop |" in text


def test_what_has_no_such_name_is_said(tmp_path: Path) -> None:
    done = bench("--only-workload", "dancing", "--results", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.endswith("bench: no workload has such a name; --list shows them\n")
    assert not list(tmp_path.iterdir())


def test_what_is_to_come_is_told_first() -> None:
    done = bench("--dry-run", "--only-workload", "redirect")
    assert done.returncode == 0
    assert "bench: redirect: 2 of 2 workloads" in done.stderr
    assert "serving" not in done.stderr
