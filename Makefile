# make help lists the targets.
export CGO_ENABLED = 0

STATICCHECK = go run honnef.co/go/tools/cmd/staticcheck@v0.8.2
# Packages in which goroutines meet.
CONCURRENT = ./internal/par ./tokenizer ./nn ./engine . ./cmd/goinfer
# Packages that have code for a processor, or numbers that pass through it: the others are the same on every machine.
NUMERIC = . ./internal/... ./quant ./kernels ./tensor ./kv ./nn ./model/... ./engine ./sample ./study/probe
FUZZTIME = 15s

.PHONY: help build test race purego generate generated cross unfused arm64 fuzz bench lint cover release api check clean

help: ## list the targets
	@grep -hE '^[a-z0-9]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 10

build: ## build the command into ./goinfer
	go build -trimpath ./cmd/goinfer

test: ## run all tests
	go test ./...

race: ## run the concurrent packages under the race detector (needs a C compiler)
	GOINFER_LONG= CGO_ENABLED=1 go test -race -short -timeout 30m $(CONCURRENT)

purego: ## run the tests of packages that have assembly without it
	GOINFER_LONG= go test -tags purego ./kernels ./nn ./study/probe ./engine

generate: ## regenerate the assembly
	go generate ./kernels

generated: generate ## check that the assembly is what its generators write, and test these
	@git diff --exit-code --stat -- kernels study/probe || { echo "the assembly differs from what go generate writes"; exit 1; }
	cd kernels/_asm && go vet ./... && go test ./...

cross: ## build for every supported system
	@for t in linux/amd64 linux/arm64 linux/riscv64 linux/386 js/wasm darwin/amd64 darwin/arm64 windows/amd64 windows/arm64; do \
		echo "build $$t"; GOOS=$${t%/*} GOARCH=$${t#*/} go build ./... || exit 1; done

unfused: ## check that no multiplication in package quant is fused with an addition, in single precision: files have the same bytes wherever they are made
	@! GOARCH=arm64 go build -gcflags=-S ./quant 2>&1 | grep -E 'FN?M(ADD|SUB)S' || { echo "quant: products that are added need float32(...) around them"; exit 1; }

arm64: unfused ## vet everything for arm64, and run the numeric packages' tests under user-mode emulation (Debian's qemu-user-static)
	GOARCH=arm64 go vet ./...
	GOINFER_LONG= GOARCH=arm64 go test -short -timeout 30m -exec "qemu-aarch64-static -cpu max" $(NUMERIC)

fuzz: ## run every fuzz target for FUZZTIME, little of it spent on making inputs short
	@set -e; \
	for f in $$(grep -rlE --include='*_test.go' '^func Fuzz' .); do \
		for target in $$(grep -oE '^func Fuzz[A-Za-z0-9]+' $$f | cut -c6-); do \
			echo "fuzz $$(dirname $$f) $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x $$(dirname $$f) || exit 1; \
		done; done

bench: ## run the benchmarks
	go test -run '^$$' -bench . -benchmem ./...

lint: ## gofmt, go vet, staticcheck
	@test -z "$$(gofmt -l .)" || { echo "not formatted:"; gofmt -l .; exit 1; }
	go vet ./...
	$(STATICCHECK) ./...

cover: ## write cover.html
	go test -coverprofile=cover.out ./... && go tool cover -html=cover.out -o cover.html

release: ## make the files of release VERSION (a tag of this commit) in dist: 7 static binaries, built twice, checksums, bills of materials
	scripts/release $(VERSION)

api: ## write the record of the exported API that TestAPI compares with
	go test -run '^TestAPI$$' . -update

check: ## all that must hold: what runs before a change is accepted
	.ci/run

clean: ## remove what the targets make
	rm -f goinfer goinfer.exe cover.out cover.html
