# make demo: the main job on the sample store.  make test: all tests.  make check: style, types, structure.
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: demo test check wheel clean

demo: .venv/installed
	$(BIN)/reidpipe run --cameras configs/store.yaml
	mkdir -p out
	$(BIN)/reidpipe export trajectories out/trajectories.csv
	$(BIN)/reidpipe export trajectories --summary out/visits.csv
	$(BIN)/reidpipe evaluate --truth sample_videos/truth
	$(BIN)/reidpipe render --out out/video
	@echo
	@echo "database:          reidpipe.db"
	@echo "trajectories:      out/trajectories.csv   (one row per observation)"
	@echo "visits:            out/visits.csv         (one row per person and camera)"
	@echo "annotated videos:  out/video/             (open out/video/mosaic.mp4)"

test: .venv/developer
	$(BIN)/python -m pytest

check: .venv/developer
	$(BIN)/ruff check .
	mkdir -p build/typing && ln -sfn ../.. build/typing/reidpipe
	$(BIN)/mypy -p reidpipe.pipeline -p reidpipe.reid -p reidpipe.trackers
	$(BIN)/mypy -p sample_videos
	$(BIN)/python -m pytest -q tests/test_structure.py

wheel: .venv/developer
	$(BIN)/python -m build --wheel --outdir dist .

clean:
	rm -rf build dist out .venv *.egg-info

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip

.venv/installed: .venv/bin/python pyproject.toml
	PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --editable .
	touch $@

.venv/developer: .venv/installed
	PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --editable '.[dev,render]'
	touch $@
