# Build products and clusters live outside the tree, in MFA_OPERATOR_CACHE (default ~/.cache/mfa-operator).
# With KUBECONFIG set, every target that needs a cluster uses that one.
.DEFAULT_GOAL := help
SHELL := /bin/bash

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Show the whole story on a cluster on this machine, from nothing to the proof
	@scripts/demo

.PHONY: demo-svg
demo-svg: ## Run the demo, and draw the picture of it for the README
	@scripts/demo --record

.PHONY: check
check: ## What needs no cluster: format, lints, scripts, dependencies, versions, generated files
	@scripts/check

.PHONY: test
test: ## Run every test; brings a cluster up and takes it down
	@scripts/test

.PHONY: test-long
test-long: ## Run every test with its long cases
	@scripts/test long

.PHONY: e2e
e2e: ## Run the end-to-end tests alone
	@scripts/test-e2e

.PHONY: gitops
gitops: ## Have the engines of Argo CD and Flux judge what the operator does
	@scripts/test-gitops

.PHONY: bench
bench: ## Measure speed and memory at 10,000 policies, and write docs/benchmarks.md
	@benches/run $(ARGS)

.PHONY: build
build: ## Build the operator for this machine
	@. scripts/environment && cargo build --release --locked

.PHONY: image
image: ## Pack the operator's image without docker
	@scripts/image

.PHONY: sbom
sbom: ## List what is in the image, as a CycloneDX document in target/
	@. scripts/environment && mkdir -p target && scripts/image >/dev/null && \
	  scripts/sbom "$$(scripts/static "$$MFA_OPERATOR_CACHE/target")" >target/mfa-operator.cdx.json && echo target/mfa-operator.cdx.json

.PHONY: release-dry-run
release-dry-run: ## Build all that a release publishes, the image twice, into target/release-dry-run
	@scripts/release target/release-dry-run

.PHONY: generate
generate: ## Write the resource definition and the chart's copy from the types
	@scripts/generate

.PHONY: verify
verify: ## Fail where a generated file is stale
	@scripts/generate --verify

.PHONY: clean
clean: ## Remove what a build left in the tree; the cache stays
	@rm -rf target

include tests/cluster/cluster.mk
