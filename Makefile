# Every target works on a fresh clone; `make` alone lists them.

STATICCHECK = go tool -modfile=tools/go.mod staticcheck
FUZZTIME ?= 30s
SOAKTIME ?= 10m

.DEFAULT_GOAL := help
.PHONY: help test unraced browsers screenshots lint fuzz bench bench-guard bench-origin bench-proxy soak demo build cover setup fmt vet staticcheck vuln

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

test: setup fmt vet staticcheck unraced ## set up, check the sources and run all tests with the race detector
	go test -race -timeout 20m ./...

unraced: ## what reads and writes sockets otherwise without the race detector (internal/tcpio)
	go test -timeout 20m ./internal/tcpio ./internal/proxy ./internal/gateway ./internal/e2e

browsers: ## real browsers at the gateway: what they do with a 421 and with ORIGIN
	@tools/setup.sh chromium firefox-esr certutil
	USHER_REQUIRE=browsers go test -count=1 -v ./internal/e2e/browsers

screenshots: ## pictures of the guide's main views, in docs/status
	@tools/setup.sh chromium
	USHER_REQUIRE=browsers go test -count=1 -run '^TestScreenshots$$' ./internal/e2e/guide -args -screenshots "$(CURDIR)/docs/status"

lint: fmt vet staticcheck vuln ## gofmt, go vet, staticcheck, govulncheck

fuzz: ## run each fuzz target for FUZZTIME (default 30s)
	FUZZTIME=$(FUZZTIME) tools/fuzz.sh

bench: ## benchmarks of the decision and the guard
	go test -run '^$$' -bench . -benchmem ./authority .

bench-guard: ## HTTP/2 with and without the guard, in alternating pairs
	go test -count=1 -run '^TestBenchGuard$$' -v ./internal/benchguard -args -bench-guard

bench-origin: ## HTTP/2 with and without ORIGIN frames, in alternating pairs of h2load runs
	go test -count=1 -run '^TestBenchOrigin$$' -v ./internal/benchguard -args -bench-origin

bench-proxy: ## the gateway beside nginx, HAProxy and Caddy, about ten minutes; ARGS="-quick -works get10,421" for less
	@tools/setup.sh nginx haproxy h2load
	go test -count=1 -timeout 60m -run '^TestBenchProxy$$' -v ./internal/benchproxy -args -bench-proxy -out $(CURDIR)/bin/bench-proxy $(ARGS)

soak: ## right bodies and no leaks under load, for SOAKTIME (default 10m)
	go test -count=1 -timeout 0 -run '^TestSoak$$' -v ./internal/soak -args -soak -soak-duration=$(SOAKTIME)

demo: ## a gateway on this machine, with sites, requests and answers
	go run ./cmd/usher demo

build: ## build bin/usher
	go build -trimpath -o bin/usher ./cmd/usher

cover: ## test coverage of the whole module, in bin/cover.html
	@mkdir -p bin
	go test -coverpkg=./... -coverprofile=bin/cover.out ./...
	go tool cover -html=bin/cover.out -o bin/cover.html
	go tool cover -func=bin/cover.out | tail -n 1

setup: ## install what the tests need
	@tools/setup.sh

fmt:
	@tools/gofmt.sh

vet:
	go vet ./...

staticcheck:
	$(STATICCHECK) ./...

vuln: ## known vulnerabilities in what is called
	tools/vuln.sh
