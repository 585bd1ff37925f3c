# `make help` lists what there is. Facts about boards stand in boards/*.toml, the programs that tests need in
# tests/deps.sh.

BOARD ?= rpi-zero
CARGO ?= cargo
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run test lint deps bench bench-deps cross cross-deps test-cross deb deb-deps test-deb clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24
	@echo
	@echo "BOARD is one of: $(patsubst boards/%.toml,%,$(wildcard boards/*.toml)) (default: rpi-zero)"
	@echo "ARGS is what make run gives the server."

run: ## build the server and start it
	$(CARGO) run --release --bin rill -- $(ARGS)

test: deps ## install what the tests need, and run them all
	$(CARGO) test

lint: ## format, lints, and the layers that do without std
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) check --lib --no-default-features

deps: ## install the clients that the tests run, or say what is missing
	@tests/deps.sh test
	@tests/support/modern-ffmpeg.sh
	@tests/support/python-librtmp.sh

bench: bench-deps ## measure capacity, connects and scripts beside the machine's floor and nginx-rtmp
	$(CARGO) bench --bench capacity
	$(CARGO) bench --bench connections

# nginx is only compared with. Without it the measurement says so and goes on.
bench-deps:
	@tests/deps.sh bench || echo "measuring without nginx-rtmp"

cross: ## static binary for BOARD: dist/rill-BOARD (CROSS=cross|rustup|debian chooses the way)
	boards/cross.sh build $(BOARD)

cross-deps: ## install what a cross build by Debian's toolchain needs
	boards/cross.sh deps

test-cross: deps ## test dist/rill-BOARD with real clients under qemu-user
	boards/cross.sh test $(BOARD)

# ARCHES is what make deb and make test-deb are for. Nothing tests the ARMv6 binary of armhf in a Debian of its own: Debian's
# armhf is ARMv7. make test-cross BOARD=generic runs it as an ARM1176.
ARCHES ?= amd64 arm64 armhf

deb: ## Debian packages of the static binaries: dist/rill_VERSION_ARCH.deb for ARCHES
	boards/package/deb.sh build $(ARCHES)

deb-deps: ## install what make test-deb runs
	tests/deps.sh deb

test-deb: deb-deps ## check the packages, and install, run, upgrade and purge them in a Debian (as root)
	boards/package/deb.sh check $(ARCHES)
	set -e; for arch in $(filter-out armhf,$(ARCHES)); do boards/package/test.py $$arch; done

clean: ## remove everything that was built
	$(CARGO) clean
	rm -rf dist
