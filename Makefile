# make demo: the main job on the sample store.  make web: the review page of its results.  make test: all tests.  make check: style, types, structure.
# make audit: known vulnerabilities of dependencies.
# make tables: the documentation's tables, from docs/results and the code.
# make stores: three other rendered stores with truth, to measure on (STORES="11 12" for those to choose settings on).
# make bench-check: speed relative to other loops, compared with the documentation's figures; for a quiet machine.
# make reid-table: the appearance model and baselines, scored on research data that is not part of this repository.
PYTHON ?= python3.11
KIT ?= ../shared/kit
OCCLUDE ?= ../shared/tools/occlude.py
REID_WEIGHTS ?= reid/weights/accurate.onnx
STORES ?= 21 22 23
STORES_DIR ?= $(HOME)/.cache/reidpipe/stores
STORES_SECONDS ?= 60
BIN := .venv/bin

.PHONY: demo web test check audit wheel tables stores bench-check reid-table clean

demo: .venv/installed
	$(BIN)/reidpipe run --cameras configs/store.yaml
	mkdir -p out
	$(BIN)/reidpipe export trajectories out/trajectories.csv
	$(BIN)/reidpipe export trajectories --summary out/visits.csv
	$(BIN)/reidpipe evaluate --truth sample_videos/truth
	$(BIN)/reidpipe render --out out/video
	@echo
	@echo "database:          reidpipe.db"
	@echo "trajectories:      out/trajectories.csv   (one row per box of a person)"
	@echo "visits:            out/visits.csv         (one row per person and camera)"
	@echo "annotated videos:  out/video/             (open out/video/mosaic.mp4)"
	@echo "review page:       make web"

web: .venv/web
	@test -e reidpipe.db || { echo "there is no database yet: run make demo first" >&2; exit 1; }
	$(BIN)/reidpipe serve

test: .venv/developer
	$(BIN)/python -m pytest

check: .venv/developer
	$(BIN)/ruff check .
	mkdir -p build/typing && ln -sfn ../.. build/typing/reidpipe
	$(BIN)/mypy -p reidpipe.offline -p reidpipe.pipeline -p reidpipe.reid -p reidpipe.trackers
	$(BIN)/mypy -p sample_videos
	$(BIN)/python -m pytest -q tests/test_structure.py

# Asks PyPI's database of vulnerabilities. --strict: a package that could not be checked is an error, not a success.
audit: .venv/developer
	mkdir -p build
	$(BIN)/pip freeze --exclude-editable > build/audit.txt
	$(BIN)/pip-audit --strict --no-deps --disable-pip --requirement build/audit.txt

tables: .venv/developer
	$(BIN)/python -m docs.tables

bench-check: .venv/developer
	$(BIN)/reidpipe bench --cameras configs/store.yaml --rounds 3 --frames 480 --float --compare docs/results/bench.json

wheel: .venv/developer
	$(BIN)/python -m build --wheel --outdir dist .

stores: .venv/developer
	@for seed in $(STORES); do \
	  $(BIN)/python -m sample_videos video --seed $$seed --seconds $(STORES_SECONDS) --out $(STORES_DIR)/seed$$seed || exit 1; \
	  echo "reidpipe run --cameras $(STORES_DIR)/seed$$seed/store.yaml"; \
	done

CROPS = $(KIT)/reid/cuhk03-dev
BASELINES = $(KIT)/weights/person-reidentification-retail-0286.xml $(KIT)/weights/osnet_x0_25_msmt17.onnx
OCCLUDED = $(addprefix build/reid-table/,object-light object-heavy person-light person-heavy cut-light cut-heavy)

reid-table: .venv/installed
	@for path in $(CROPS)/query $(CROPS)/bounding_box_test $(BASELINES) $(OCCLUDE); do \
	  test -e $$path || { echo "reid-table needs $$path; set their paths with KIT=... and OCCLUDE=..." >&2; exit 1; }; \
	done
	@rm -rf build/reid-table && mkdir -p build/reid-table out/reid-table
	@for mode in object person cut; do for level in light heavy; do \
	  $(BIN)/python $(OCCLUDE) --query $(CROPS)/query --gallery $(CROPS)/bounding_box_test --mode $$mode \
	    --level $$level --seed 0 --occluders $(KIT)/occluders/* --out build/reid-table/$$mode-$$level || exit 1; \
	done; done
	$(BIN)/reidpipe evaluate-reid --data $(CROPS) --weights $(REID_WEIGHTS) $(addprefix --occluded ,$(OCCLUDED)) \
	  $(addprefix --baseline ,$(BASELINES)) --speed --page out/reid-table/ranked.png --markdown out/reid-table/table.md \
	  --json > out/reid-table/table.json
	$(BIN)/python -m sample_videos cut --out build/reid-table/store
	$(BIN)/reidpipe evaluate-reid --data build/reid-table/store --weights $(REID_WEIGHTS) \
	  $(addprefix --baseline ,$(BASELINES)) --markdown out/reid-table/store.md --json > out/reid-table/store.json
	@echo && cat out/reid-table/table.md && echo && cat out/reid-table/store.md

clean:
	rm -rf build dist out .venv *.egg-info

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip

.venv/installed: .venv/bin/python pyproject.toml
	PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --editable .
	touch $@

.venv/web: .venv/installed
	PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --editable '.[web]'
	touch $@

.venv/developer: .venv/installed
	PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --editable '.[dev,render]'
	touch $@
