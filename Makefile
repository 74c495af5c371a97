# What people and CI both run. `make demo` and `make test` work in a fresh clone.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Short demos and tests keep their data here, apart from the user's own data home.
SCRATCH ?= build

.PHONY: demo test fast lint types short-demo pytest format clean bench evidence-coverage evidence-scoring evidence-hf evidence-rehearsal evidence-kills evidence-mutants evidence-fuzz evidence-synth

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(READY)

demo: $(READY)  ## measure the built-in log-mel encoder on the synthetic suite `smoke`
	$(BIN)/auricle run logmel --suite smoke

test: lint types short-demo pytest  ## everything that CI checks

fast: $(READY)  ## the tests of every commit: under two minutes
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not slow and not evidence"

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

short-demo: $(READY)
	AURICLE_HOME=$(SCRATCH)/home $(BIN)/auricle run logmel --suite synth-keyword \
	  --set train.steps=30 --out $(SCRATCH)/runs
	AURICLE_HOME=$(SCRATCH)/home $(BIN)/auricle run examples/mean_1s.py --suite synth-keyword \
	  --set train.steps=30 --out $(SCRATCH)/runs --quiet

pytest: $(READY)
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

bench: $(READY)  ## ours against a plain baseline, stage by stage; over an hour on a busy machine
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE KMP_BLOCKTIME=0 $(BIN)/python benchmarks/all.py

evidence-coverage: $(READY)  ## how often the 95 % intervals hold the truth; about 15 minutes
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/coverage.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/coverage.py seeds

evidence-scoring: $(READY)  ## what scoring costs: official sizes, long files, DATE at MECAT's size
	for what in tasks files plain date; do \
	  OMP_NUM_THREADS=1 $(BIN)/python benchmarks/scoring.py $$what || exit 1; done

evidence-hf: $(READY)  ## each family of Hugging Face models through `check` and a short run
	$(BIN)/python -m pytest -q -m evidence tests/encoder/test_hf_evidence.py

evidence-rehearsal: $(READY)  ## both official tracks on stand-in data, offline: half an hour of CPU
	rm -rf $(SCRATCH)/rehearsal
	PYTHONPATH=tests $(BIN)/python -m evidence.rehearsal $(SCRATCH)/rehearsal

evidence-kills: $(READY)  ## 20 kills, full and read-only disks: the same bytes in the end
	rm -rf $(SCRATCH)/kills
	PYTHONPATH=tests $(BIN)/python -m evidence.kills $(SCRATCH)/kills

evidence-mutants: $(READY)  ## faults put in on purpose: how many the fast tests notice; 4 hours
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[mutants]'
	PYTHONPATH=tests $(BIN)/python -m evidence.mutants $(SCRATCH)/mutants

evidence-synth: $(READY)  ## no synthetic task is solved by a clip's average spectrum; 4 minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 -m "slow and evidence" tests/synth/test_mean_spectrum.py

evidence-fuzz: $(READY)  ## messages of encoders' processes and archives that nobody meant; 6 minutes
	OMP_NUM_THREADS=1 PYTHONPATH=tests $(BIN)/python -m evidence.fuzz

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(SCRATCH) .mypy_cache .ruff_cache .pytest_cache .hypothesis
