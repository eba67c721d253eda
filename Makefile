# The commands for people; `make help` lists them. Each installs what is missing, names it, and leaves alone what is
# there. Rust itself has to be installed already.

# Sources of the programs: the trainer is rebuilt when one of these is newer.
sources := Cargo.toml Cargo.lock $(shell find src -name '*.rs' -o -name '*.toml')

# One profile for building, testing and benchmarks, so that the dependencies are compiled once.
flags := --release --locked
trainer := --no-default-features --features train

# The build of ONNX Runtime for `make setup` and `make env`: cpu, gpu or openvino. Tests use the one for cpu.
ORT ?= cpu

# The folder of real pictures for the tests; they may not be redistributed.
pictures := $(or $(UNETSEGMENT_DATA),$(wildcard data),$(wildcard ../shared/data),data)

# Makes tests fail, instead of being skipped, for lack of what `make` has installed; some of it can't be had everywhere.
require := UNETSEGMENT_REQUIRE=python,aravis$$(for name in micromanager webgpu; do \
	[ ! -e .cache/$$name/complete ] || printf ,%s $$name; done)

# Allows checking code that needs GStreamer 1.26 where an older one is installed, though not linking it.
without_1_26 := $(foreach library,GSTREAMER GSTREAMER_ANALYTICS,SYSTEM_DEPS_$(library)_1_0_NO_PKG_CONFIG=1 SYSTEM_DEPS_$(library)_1_0_LIB=none)

# Every path below relies on this folder, whatever the user's own Cargo settings say.
export CARGO_TARGET_DIR := $(CURDIR)/target
# Tests and demo use the plugin and the ONNX Runtime of this folder, even in a shell that exports others, and leave the
# user's plugin registry alone.
export ORT_DYLIB_PATH := $(CURDIR)/.cache/onnxruntime/libonnxruntime.so
export GST_REGISTRY := $(CURDIR)/target/gst-registry.bin
unexport GST_PLUGIN_PATH

.PHONY: build
build: installed target/release/unet-train ## Build the plugin and the trainer (the default)
	cargo build $(flags) --lib

# Two builds, because the trainer must not need GStreamer, nor the plugin what the trainer needs. Building the trainer
# overwrites the library with one that has no elements, so the plugin is always built last.
target/release/unet-train: $(sources) | installed
	cargo build $(flags) $(trainer) --bin unet-train
	@touch $@

.PHONY: test
test: check ## Check and test everything except what check-* and soak cover
	@scripts/packages.sh build run examples cameras
	@scripts/onnxruntime.sh
	@scripts/software-adapter.sh
	@scripts/python-packages.sh micromanager
	cargo test $(flags) $(trainer)
	cargo build $(flags) --lib
	$(require) cargo test $(flags)
	scripts/address-sanitizer.sh buffers flow switching unetmask
	scripts/fuzz.sh 5
	@[ -d "$(pictures)" ] || echo 'Skipped: the tests on real pictures, because there are none in $(pictures) (UNETSEGMENT_DATA).'
	@echo 'All checks and tests have passed.'

.PHONY: check
check: rust ## Check only the formatting and the lints
	@scripts/packages.sh build
	@scripts/lint-tools.sh
	cargo fmt --check
	cargo clippy $(flags) --all-targets -- -D warnings
	cargo clippy $(flags) --all-targets $(trainer) -- -D warnings
	cargo clippy $(flags) --all-targets --features train -- -D warnings
	$(without_1_26) cargo clippy $(flags) --features analytics --lib --test analytics -- -D warnings

# Not part of `make check`: what training on graphics cards needs takes a quarter of an hour to compile.
.PHONY: check-gpu
check-gpu: rust ## Check `--device wgpu` on a Vulkan adapter (one in software will do)
	@scripts/packages.sh build gpu
	cargo test $(flags) $(trainer),wgpu --lib device

# `make test` runs four of these.
.PHONY: check-memory
check-memory: rust ## Run the tests of the element with the address sanitizer
	@scripts/packages.sh build run
	@scripts/onnxruntime.sh
	scripts/address-sanitizer.sh buffers caps drops endings errors flow formats gaps live objects overlays \
		palette pools probability seams swapping switching triggers unetmask

# Not part of `make test`: it downloads 250 MB of libraries.
.PHONY: check-openvino
check-openvino: rust ## Compare OpenVINO's masks with those of the CPU provider
	@scripts/packages.sh build run
	@scripts/onnxruntime.sh openvino
	ORT_DYLIB_PATH=$(CURDIR)/.cache/onnxruntime-openvino/libonnxruntime.so \
		cargo test $(flags) --test providers -- --ignored openvino

# Nor is this: it downloads 600 MB of Python packages.
.PHONY: check-bioimageio
check-bioimageio: target/release/unet-train ## Let bioimageio.core test packages of the models, and compare masks with it
	@scripts/packages.sh build run examples
	@scripts/python-packages.sh bioimageio
	cargo build $(flags) --lib
	tests/bioimageio/check.sh

# Nor is this: it downloads 400 MB of Python packages.
.PHONY: check-objects
check-objects: rust ## Compare objects with those of scikit-image, and let py-ctcmetrics score the tracking
	@scripts/packages.sh build run examples
	@scripts/onnxruntime.sh
	@scripts/python-packages.sh objects
	cargo build $(flags) --lib
	UNETSEGMENT_DATA=$(abspath $(pictures)) tests/objects/check.sh

# Nor is this: Debian 12 and Ubuntu 24.04 have an older GStreamer.
.PHONY: check-analytics
check-analytics: rust ## Check the feature `analytics`, which needs GStreamer 1.26 (Debian 13)
	@scripts/packages.sh build run
	@pkg-config --atleast-version=1.26 gstreamer-1.0 || { echo "error: the feature analytics needs GStreamer 1.26, as in Debian 13; the installed version is $$(pkg-config --modversion gstreamer-1.0)." >&2; exit 1; }
	@scripts/packages.sh analytics
	@scripts/onnxruntime.sh
	@scripts/lint-tools.sh
	cargo clippy $(flags) --features analytics --lib --test analytics -- -D warnings
	cargo test $(flags) --features analytics --test analytics --test allocations

# Nor is this: it downloads a browser of 350 MB.
.PHONY: check-browser
check-browser: rust ## Open the page of examples/browser.py in Chromium
	@scripts/packages.sh build run examples browser
	@scripts/onnxruntime.sh
	cargo build $(flags) --lib
	tests/browser/check.sh

# The files of tests in the table of RELIABILITY.md.
promises := allocations buffers cameras caps control drops embedding endings errors failing flow frugality gaps hostile \
	latency live loading memory pools reliability sharing stopping swapping tracking triggers

# Forty minutes, thirty of them for the cameras.
.PHONY: soak
soak: rust ## Run the reliability tests, in their long form where they have one
	@scripts/packages.sh build run examples cameras
	@scripts/onnxruntime.sh
	@scripts/python-packages.sh micromanager
	cargo build $(flags) --lib
	$(require) UNETSEGMENT_SOAK=1 UNETSEGMENT_MUTATED=20000 \
		cargo test $(flags) $(addprefix --test ,$(promises)) -- --nocapture

# The trainer first, as in `make build`.
.PHONY: deb
deb: build ## Make a Debian package of the plugin, the trainer, the model for nuclei and ONNX Runtime, in target/debian
	@cargo deb --version >/dev/null 2>&1 || { echo 'error: cargo-deb is missing: cargo install cargo-deb --locked' >&2; exit 1; }
	@rm -rf target/debian
	cargo deb --no-build --strip --multiarch=foreign --locked

.PHONY: docs
docs: rust ## Rewrite docs/elements.md and docs/unet-train.md from the programs themselves
	@scripts/packages.sh build run
	UNETSEGMENT_WRITE_REFERENCE=1 cargo test $(flags) $(trainer) --test trainer_reference
	UNETSEGMENT_WRITE_REFERENCE=1 cargo test $(flags) --test reference

.PHONY: fuzz
FUZZ_SECONDS ?= 60
fuzz: rust ## Fuzz models, contracts, packages, frames and plans; FUZZ_SECONDS=60 for each
	@scripts/fuzz.sh $(FUZZ_SECONDS)

.PHONY: demo
demo: rust ## Segment a time-lapse into demo/; INPUT=folder-or-file and MODEL=file for your own
	@scripts/packages.sh build run demo
	@scripts/onnxruntime.sh
	cargo build $(flags) --lib
	@scripts/demo.sh

.PHONY: bench
bench: rust ## Measure the speed
	@scripts/packages.sh build run
	@scripts/onnxruntime.sh
	cargo bench --locked --bench stages --bench drawing --bench overhead --bench reuse --bench scaling
	cargo bench --locked --no-run --bench throughput
	@echo 'BENCHMARKS.md has the commands for comparisons with other programs.'

.PHONY: examples
examples: ## Install what the programs in examples/ need in addition to `make build`
	@scripts/packages.sh build run examples cameras
	@scripts/python-packages.sh micromanager

.PHONY: env
env: ## Print what a shell has to export to use the plugin: eval "$(make -s env)"
	@scripts/onnxruntime.sh $(ORT)
	@scripts/env.sh $(ORT)

.PHONY: setup
setup: rust ## Install and download what the other commands need, except check-* and deb; ORT=gpu or openvino adds that runtime
	@scripts/packages.sh build run show demo examples cameras fuzz
	@scripts/onnxruntime.sh
	@scripts/onnxruntime.sh $(ORT)
	@scripts/software-adapter.sh
	@scripts/python-packages.sh micromanager
	@scripts/lint-tools.sh
	@scripts/demo-pictures.sh
	cargo fetch --locked --target host-tuple
	cargo fetch --locked --target host-tuple --manifest-path fuzz/Cargo.toml

.PHONY: clean
clean: ## Remove what was built, but not what was downloaded (.cache)
	rm -rf target demo

.PHONY: help
help: ## Print this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand --tabs=24

.PHONY: installed
installed: rust
	@scripts/packages.sh build run show demo
	@scripts/onnxruntime.sh

# Stops everything with one line if the Rust toolchain is missing or too old.
rust-problem = $(shell scripts/rust-problem.sh)
.PHONY: rust
rust:
	$(if $(rust-problem),$(error $(rust-problem)))
