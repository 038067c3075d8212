# Jackdaw's commands. `make up` and `make test` do all the set-up they need.
MODE ?= zookeeper
BROKERS ?= 3
COORDINATORS ?= 3
CONTROLLERS ?= 3
BROKER_PORT ?= 9092
COORDINATION_PORT ?= 2181
CONTROLLER_PORT ?= 9193
# NODES=1 is a KRaft cluster for a laptop: so many processes, each with both roles.
ifdef NODES
MODE = kraft
endif
RUN ?= run
CONFIG ?= release
BUILD = .build/$(CONFIG)
JACKDAW = $(BUILD)/jackdaw
SOURCES = Package.swift $(shell find Sources -type f 2>/dev/null)
ifeq ($(MODE),kraft)
ifdef NODES
SIZES = --nodes $(NODES)
else ifdef COMBINED
SIZES = --brokers $(BROKERS) --combined
else
SIZES = --brokers $(BROKERS) --controllers $(CONTROLLERS)
endif
SIZES += --broker-port $(BROKER_PORT) --controller-port $(CONTROLLER_PORT)
else
SIZES = --brokers $(BROKERS) --coordinators $(COORDINATORS) \
	--broker-port $(BROKER_PORT) --coordination-port $(COORDINATION_PORT)
endif
LOCAL = --directory $(RUN)/$(MODE) --mode $(MODE)
VENV = run/venv

.PHONY: help up down status logs wipe build debug test test-swift test-clients check-hot-path nightly \
	lint bench bench-coordination bench-metadata drill drill-all simulate demo clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 22

build: $(JACKDAW) ## build the release executables into .build/release

# Built anew only when a source is newer: `make up` of what is built starts at once.
$(JACKDAW): $(SOURCES)
	@deploy/dependencies.sh build
	swift build -c $(CONFIG) --static-swift-stdlib
	@touch $(JACKDAW)

up: build ## build, start the cluster on loopback and print the bootstrap address (MODE=kraft [COMBINED=1], NODES=1)
	@$(JACKDAW) local up $(LOCAL) $(SIZES)

down: ## stop the cluster; the data stay
	@$(JACKDAW) local down $(LOCAL)

status: ## which processes run, and what they do
	@$(JACKDAW) local status $(LOCAL)

logs: ## the end of every process's log
	@tail -n 20 $(RUN)/$(MODE)/*/*.log

wipe: ## stop the cluster and remove its data
	@$(JACKDAW) local wipe $(LOCAL)

debug:
	swift build --build-tests

test: ## everything: units, scenarios, simulation, conventions, real clients
	@deploy/dependencies.sh test
	swift build --build-tests
	$(MAKE) test-swift
	$(MAKE) test-clients-while-building
	$(MAKE) check-hot-path

SEEDS ?= 5000
nightly: debug build ## every simulation with SEEDS seeds, and a tenth as many whole clusters
	JACKDAW_SEEDS=$(SEEDS) swift test --skip-build --parallel --filter SimulationTests
	$(JACKDAW) simulate --runs $$(( $(SEEDS) / 10 ))
	$(JACKDAW) simulate --runs $$(( $(SEEDS) / 10 )) --scenario lost-page-cache

test-swift: ## units, scenarios, simulation and conventions
	swift test --skip-build --parallel --skip Simulation
	swift test --skip-build --parallel --filter Simulation

test-clients: ## real clients and real peers against real processes
	JACKDAW_BIN=$(CURDIR)/.build/debug $(VENV)/bin/python -m pytest Tests/clients -q --timeout 300 --reruns 1 --durations 25

# Real clients wait more than they work: the release build that check-hot-path needs takes the time
# that they leave. What it says is said again, should it fail, when check-hot-path asks for it.
.PHONY: test-clients-while-building
test-clients-while-building:
	@mkdir -p $(RUN); nice -n 19 $(MAKE) build >$(RUN)/build.log 2>&1 & \
	$(MAKE) test-clients; status=$$?; wait; exit $$status

check-hot-path: build ## a release build allocates nothing for a Produce, and reads headers in nanoseconds
	@deploy/dependencies.sh test
	JACKDAW_BIN=$(CURDIR)/$(BUILD) $(VENV)/bin/python -m pytest Tests/hotpath -q --timeout 120

bench: build ## start-up, memory, throughput and processor time of a cluster of its own
	@$(JACKDAW) bench --directory $(RUN)/bench

bench-coordination: build ## the coordination service beside ZooKeeper, in one run
	@$(JACKDAW) bench-coordination --directory $(RUN)/bench-coordination

bench-metadata: build ## the controller quorum with 100,000 partitions: failover, memory, start
	@$(JACKDAW) bench-metadata --directory $(RUN)/bench-metadata

REPORTS ?= $(RUN)/reports
SCALE ?= 100
bench-%: build # one shape of load, such as bench-simple; reports in run/reports (MODE=, SCALE=percent)
	@$(JACKDAW) bench run $* --mode $(MODE) --scale $(SCALE) --directory $(RUN)/bench --report $(REPORTS)

DRILL = $(JACKDAW) drill run --mode $(MODE) --directory $(RUN)/drill-$(MODE) --report $(REPORTS)
drill: build ## the short set of failover drills; reports in run/reports (MODE=)
	@$(DRILL) short

drill-all: build ## every failover drill of the mode
	@$(DRILL) all

drill-lost-page-cache: build # drill 19 needs machines that lose power: simulated ones
	@$(JACKDAW) simulate --scenario lost-page-cache --seed $(SEED) --runs $(RUNS) --mode $(SIMULATED_MODE)

drill-%: build # one drill by its name: make drill-kill-leader
	@$(DRILL) $*

SEED ?= 1
RUNS ?= 10
SCENARIO ?= random
SIMULATED_MODE = $(if $(filter file,$(origin MODE)),both,$(MODE))
simulate: build ## whole clusters on a simulated machine: SEED= RUNS= [MODE=] [SCENARIO=lost-page-cache]
	@$(JACKDAW) simulate --seed $(SEED) --runs $(RUNS) --mode $(SIMULATED_MODE) --scenario $(SCENARIO)

demo: up ## kill a leader while records flow, and count what arrives
	@deploy/demo.sh $(JACKDAW) $(RUN)/$(MODE)

lint: ## the conventions that a test enforces
	JACKDAW_ONLY=Conventions swift test --scratch-path .build-lint --filter ConventionsTests

clean: ## remove what was built
	rm -rf .build .build-lint
