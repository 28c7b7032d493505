# Every target runs what its name says; CI runs .ci/run.
.PHONY: api help test race lint fmt tidy bench fuzz gateway cafe paytable hotel tour simulators chaos chaos-short ci vuln

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

test: ## run the tests
	go test ./...

race: ## run the tests with the race detector
	go test -race -shuffle=on ./...

lint: ## run the linters
	go tool -modfile=tools/go.mod golangci-lint run ./...

fmt: ## format the code
	go tool -modfile=tools/go.mod golangci-lint fmt ./...

tidy: ## tidy all modules
	go mod tidy
	cd tools && go mod tidy
	cd internal/chaos && go mod tidy
	cd internal/consumer && go mod tidy
	cd bench && go mod tidy

bench: ## measure beside what people would use instead, and write bench/RESULTS.md
	cd bench && go run .

FUZZTIME ?= 30s
fuzz: ## run each fuzz target for half a minute, or for FUZZTIME
	@failed=; for p in $$(go list ./...); do \
		for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz'); do \
			go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5s $$p || failed="$$failed $$p:$$f"; \
		done; \
	done; test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

gateway: ## serve a till, two terminals and the gateway between them
	go run ./examples/gateway

cafe: ## serve a café whose guests pay with the Paysera wallet
	go run ./examples/cafe

paytable: ## serve a restaurant whose guests pay at the table
	go run ./examples/paytable

hotel: ## serve a hotel whose rooms a restaurant charges
	go run ./examples/hotel

tour: ## walk a payment from a register to a terminal and back
	go run ./examples/tour

simulators: ## serve the simulated systems
	go run ./examples/simulators

api: ## compare the exported API with that of the newest release
	bash .ci/api

chaos: ## destroy everything, for an hour (needs PostgreSQL and strace)
	cd internal/chaos && go run . -plan full

chaos-short: ## the same in less than five minutes
	cd internal/chaos && go test ./... && go run . -plan short

vuln: ## look for known vulnerabilities (needs vuln.go.dev)
	go tool -modfile=tools/go.mod govulncheck ./...

ci: ## all that CI does
	bash .ci/run
