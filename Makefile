# `make help` lists what there is. Facts about boards stand in boards/*.toml, the programs that tests need in
# tests/deps.sh.

BOARD ?= rpi-zero
CARGO ?= cargo
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run install test lint deps fuzz fuzz-corpus scripts-long plug-test test-obs edge-test-long browser-test browser-deps http-test bench bench-deps figure figure-deps cross cross-deps test-cross deb deb-deps test-deb image image-deps image-packages \
	boards boot-test boot-test-all boot-deps hardware-test lan-test lan-deps flash test-flash \
	release test-release clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24
	@echo
	@echo "BOARD is one of: $(patsubst boards/%.toml,%,$(wildcard boards/*.toml)) (default: rpi-zero)"
	@echo "ARGS is what make run gives the server."

run: ## build the server and start it
	$(CARGO) run --release --bin rill -- $(ARGS)

install: ## put rill where cargo puts programs: ~/.cargo/bin (PREFIX=DIR: DIR/bin)
	$(CARGO) install --locked --path . $(if $(PREFIX),--root $(PREFIX))

test: deps ## install what the tests need, and run them all
	$(CARGO) test
	$(CARGO) test --manifest-path boards/appliance/Cargo.toml --target-dir target

lint: ## format, lints, the layers that do without std, builds without scripts or TLS, and links of the documentation
	$(CARGO) fmt --check
# A macro declares these, where cargo fmt does not find them.
	rustfmt --check --edition 2024 src/features/*.rs
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) fmt --manifest-path boards/appliance/Cargo.toml --check
	$(CARGO) clippy --manifest-path boards/appliance/Cargo.toml --target-dir target --all-targets -- -D warnings
	$(CARGO) check --lib --no-default-features
# Without scripts, without TLS, and without both.
	$(CARGO) clippy --lib --bins --no-default-features --features std -- -D warnings
	$(CARGO) clippy --lib --bins --no-default-features --features std,script -- -D warnings
	$(CARGO) clippy --lib --bins --no-default-features --features std,tls -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --document-private-items

deps: ## install the clients that the tests run, or say what is missing
	@tests/deps.sh test
	@tests/support/modern-ffmpeg.sh
	@tests/support/python-librtmp.sh
	@tests/support/python-web.sh
	@tests/support/node-media-server.sh

# make fuzz FUZZ="server names" FUZZ_SECONDS=600
fuzz: ## run the fuzz targets, a minute each, from their corpus (FUZZ=, FUZZ_SECONDS=)
	fuzz/fuzz.sh run $(FUZZ)

fuzz-corpus: ## put what make fuzz found into the corpus, as far as it reaches code that nothing there does
	fuzz/fuzz.sh keep $(FUZZ)

scripts-long: ## code that means harm against the script process, at a thousand sizes of memory (half an hour)
	RILL_LONG=1 $(CARGO) test --test host --test script_storm --test script_neighbours -- --nocapture

# As root, with loop devices: a file system in a file, copied while it is written, is mounted again. `make test` pulls it four times.
plug-test: ## pull the plug while recordings are written, a hundred times at moments of all kinds (ROUNDS=), and look at what is left
	RILL_PLUG_ROUNDS=$(or $(ROUNDS),100) $(CARGO) test --test plug -- --nocapture

# As root: OBS believes whom its machine does, which it sees otherwise. CASES= names parts of the names of tests.
test-obs: ## OBS Studio publishes, by a key, as a user and in TLS with an authority of the test's own (a minute)
	@tests/deps.sh obs
	$(CARGO) build --bin rill
	tests/obs/run.py $(CASES)

# PLAYERS= at each of three edges.
PLAYERS ?= 300
edge-test-long: ## three edges with 900 players of one event: an origin, a cable and an edge are lost (a minute)
	$(CARGO) build --release --bin rill
	tests/edges/run.py target/release/rill --players $(PLAYERS)

# BROWSERS= names some of them, CASES= parts of the names of tests.
BROWSERS ?= chromium,firefox,webkit
browser-test: browser-deps ## the page and the player in Chromium, Firefox and WebKitGTK (BROWSERS=, CASES=, TRIES=)
	$(CARGO) build --bin rill
	tests/browser/run.py --browsers $(BROWSERS) --tries $(or $(TRIES),1) $(CASES)

browser-deps:
	@tests/deps.sh browser $(if $(findstring webkit,$(BROWSERS)),webkit)
	@tests/browser/tools.sh

http-test: ## slow clients, floods and npm's WebSockets against the HTTP side, beside a stream (two minutes)
	@tests/deps.sh http
	$(CARGO) build --release --bin rill
	tests/http/hammer.py target/release/rill

bench: bench-deps ## measure capacity, connects, scripts, viewers over HTTP, films, recordings and TLS beside the machine's floor and nginx-rtmp
	$(CARGO) bench --bench capacity
	$(CARGO) bench --bench connections
	$(CARGO) bench --bench web
	$(CARGO) bench --bench films
	$(CARGO) build --release --bin rill
	tests/bench/recordings.py target/release/rill
	tests/bench/statistics.py target/release/rill
	tests/bench/tls.py target/release/rill

# nginx is only compared with. Without it the measurement says so and goes on.
bench-deps:
	@tests/deps.sh bench || echo "measuring without nginx-rtmp"

# Scripts are left out, which no message to a player passes, and which take most of the time to build. make figure ACCEPT="why"
figure: figure-deps ## count what a message to a player costs, and compare it with tests/bench/hot_path.toml (ACCEPT=)
	$(CARGO) run --quiet --release --example hot-path --no-default-features --features std -- $(if $(ACCEPT),--accept "$$ACCEPT")

figure-deps:
	@tests/deps.sh figure

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

# WIFI=1 makes, boots and flashes the image with the drivers and firmware of the board's Wi-Fi.
image: image-deps ## image of BOARD's SD card: dist/rill-BOARD.img.zst (WIFI=1: with Wi-Fi, rill-BOARD-wifi)
	boards/cross.sh build $(BOARD)
	boards/cross.sh appliance $(BOARD)
	boards/image/build.sh $(BOARD)

image-deps: ## install what images are made with
	@tests/deps.sh image

image-packages: ## make images of Debian's newest packages from now on (boards/image/packages)
	boards/image/lock-packages.sh

boot-test: boot-deps ## boot BOARD's image in QEMU, publish, play, pull the plug, boot again (MACHINE=, FAULTS=1)
	boards/image/boot-test.py $(BOARD) $(if $(MACHINE),--machine $(MACHINE)) $(if $(FAULTS),--faults) \
		$(if $(WIFI),--image dist/rill-$(BOARD)-wifi.img)

boot-test-all: boot-deps ## boot every board's image, on every machine that this QEMU has
	boards/image/boot-test.py --all

boards: image-deps boot-deps ## build and boot every image, and write the table of sizes and times in docs/boards.md (ONLY=)
	boards/image/table.py $(ONLY)

# Needs the image with Wi-Fi: make image BOARD=rpi-64 WIFI=1
hardware-test: boot-deps ## Wi-Fi, watchdog timer, screen, sensors and USB gadget on simulated hardware (PARTS=, PICTURE=)
	@tests/deps.sh hardware
	boards/image/hardware-test.py $(if $(PICTURE),--picture $(PICTURE)) $(PARTS)

boot-deps: ## install QEMU, and what the boot tests run
	@tests/deps.sh boot

lan-test: lan-deps ## the board's name on a network, with Avahi: the responder alone, and two of BOARD's image in QEMU
	$(CARGO) build --manifest-path boards/appliance/Cargo.toml --target-dir target
	boards/appliance/name-test.py target/debug/appliance
	boards/image/lan-test.py $(BOARD) $(if $(MACHINE),--machine $(MACHINE))

lan-deps: boot-deps ## install what the tests on a network run
	@tests/deps.sh lan

flash: ## write BOARD's image to the card DEV=/dev/...; it refuses what is no card, and asks
	boards/image/flash.sh $(BOARD) $(DEV)

test-flash: image-deps ## what make flash refuses, and that it writes what it should
	boards/image/flash-test.sh

# BOARDS="rpi-zero virt-64" makes a part of one.
release: ## all artefacts of the version, sums, manifest and changes: dist/release-VERSION (BOARDS=, ALLOW_UNRELEASED=1)
	boards/release.py $(if $(filter-out 0,$(ALLOW_UNRELEASED)),--allow-unreleased) $(BOARDS)

test-release: ## what make release refuses, and that sums, manifest and changes are right; it builds nothing
	boards/release-test.py

clean: ## remove everything that was built
	$(CARGO) clean
	rm -rf dist
