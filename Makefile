# sentinetd: `make run` shows it at work, `make test` shows that it works. `make help` lists the rest.

PYTHON ?= python3
CC ?= cc
VENV ?= .venv
# Workers of the test run; most of its time is waiting.
JOBS ?= 4
export PYTHON CC VENV

.PHONY: help run test check bench bench-quick bench-curves bench-docs bench-ledger bench-firewall profile soak flood fuzz clean

help:
	@echo "make run                         run the article's example on loopback, in the foreground"
	@echo "make run CONF=/etc/xinetd.conf   run your own configuration, in the foreground"
	@echo "make test                        install what the tests need, and run them all (as root)"
	@echo "make check                       ruff and mypy alone"
	@echo "make bench                       measure beside all other super-servers: 20 minutes (as root)"
	@echo "make bench-quick                 a first look beside xinetd: 2 minutes (as root)"
	@echo "make bench BENCH='--only-workload redirect'    what has this in its name"
	@echo "make bench-curves                how cost grows with services, bans, servers: 6 minutes (as root)"
	@echo "make bench-docs                  docs/performance.md and its picture, from the newest reports of both"
	@echo "make bench-ledger                a ban in memory, up to a million of them"
	@echo "make bench-firewall              measure bans in the kernel (as root)"
	@echo "make profile WORK=trip           where the CPU time of a workload goes: tables, flame graphs (as root)"
	@echo "make soak COUNT=1000000          so many conversations under reloads; nothing may be left (as root)"
	@echo "make kills RUNS=60                kill -9 amid trips, so often; no ban that was told may be lost (as root)"
	@echo "make flood RATE=20000 SECONDS=10 events into sinks of which one hangs and one refuses; clients beside (as root)"
	@echo "make selinux                     LABELED on a kernel with SELinux, in an emulated machine"
	@echo "make fuzz SECONDS=120            fuzz every parser of foreign bytes, so long each"
	@echo "make reference                   write what is generated of the documentation anew"
	@echo "make docs                        the documentation as pages of the web, in build/site"
	@echo "make clean                       remove what was built"

ifdef CONF
run:
	@scripts/environment ""
	@[ -r "$(CONF)" ] || { echo "sentinetd: $(CONF) cannot be read; is the name right, and may you?" >&2; exit 1; }
	@[ "$$(id -u)" = 0 ] || echo "sentinetd: not root: ports below 1024 and other users are out of reach" >&2
	exec $(VENV)/bin/sentinetd -d -f "$(CONF)"
else
run:
	@scripts/environment "" examples/article/requirements.txt
	@exec scripts/run-example
endif

test:
	@scripts/install-test-needs
	@scripts/environment test,dev examples/article/requirements.txt
	@$(MAKE) --no-print-directory lint
	@$(VENV)/bin/python -m pytest -q -n $(JOBS)

check:
	@scripts/environment test,dev examples/article/requirements.txt
	@$(MAKE) --no-print-directory lint

.PHONY: lint
lint:
	$(VENV)/bin/ruff check --output-format concise .
	$(VENV)/bin/mypy

bench:
	@scripts/install-bench-needs
	@$(MAKE) --no-print-directory in-place
	$(VENV)/bin/python bench/run.py $(BENCH)

bench-quick:
	@$(MAKE) --no-print-directory bench BENCH=--quick

# What is measured is this source tree, with the spawner that was built for the environment, and compiled as what pip
# installs is: a process that compiles all that it imports takes thrice as long to start.
.PHONY: in-place
in-place:
	@scripts/environment ""
	@built="$$($(VENV)/bin/python -P -c 'from sentinetd.spawn.spawner import PROGRAM; print(PROGRAM)')"; \
	[ "$$built" -ef src/sentinetd/spawn/sentinetd-spawner ] || cp "$$built" src/sentinetd/spawn/
	@$(VENV)/bin/python -m compileall -q src/sentinetd

bench-curves:
	@scripts/install-bench-needs
	@$(MAKE) --no-print-directory in-place
	$(VENV)/bin/python bench/curves.py $(BENCH)

bench-docs:
	@scripts/environment bench
	$(VENV)/bin/python bench/page.py $(BENCH)

bench-ledger:
	@scripts/environment ""
	$(VENV)/bin/python bench/ledger.py

bench-firewall:
	@scripts/install-bench-needs
	@$(MAKE) --no-print-directory in-place
	$(VENV)/bin/python bench/firewall.py

profile:
	@scripts/environment bench
	@$(MAKE) --no-print-directory in-place
	$(VENV)/bin/python bench/profiles.py $(WORK)

soak:
	@scripts/environment ""
	$(VENV)/bin/python tests/soak/soak.py $(COUNT)

flood:
	@scripts/install-test-needs
	@scripts/environment test,dev examples/article/requirements.txt
	$(VENV)/bin/python tests/soak/flood.py $(RATE) $(SECONDS)

fuzz:
	@scripts/environment fuzz
	$(VENV)/bin/python tests/fuzz/run.py all $(SECONDS)

.PHONY: selinux
selinux:
	@scripts/environment ""
	$(VENV)/bin/python tests/selinux/run.py

.PHONY: kills
kills:
	@scripts/install-test-needs
	@scripts/environment test
	SENTINETD_KILLS=$(or $(RUNS),60) $(VENV)/bin/python -m pytest -q -s -n 0 tests/e2e/test_kills.py

.PHONY: reference
reference:
	@scripts/environment ""
	$(VENV)/bin/python scripts/reference.py docs/reference

.PHONY: docs
docs:
	@scripts/environment docs
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet --strict

clean:
	rm -rf $(VENV) .cache build dist src/*.egg-info src/sentinetd/spawn/sentinetd-spawner
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
