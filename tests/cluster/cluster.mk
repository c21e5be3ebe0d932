# The test bed: a real cluster on this machine; see tests/cluster/README.md.

.PHONY: cluster-up
cluster-up: ## Start a cluster of two nodes on this machine, building its parts the first time
	@tests/cluster/cluster up

.PHONY: cluster-down
cluster-down: ## End the cluster; nothing of it stays but the built parts
	@tests/cluster/cluster down

.PHONY: cluster-shell
cluster-shell: ## Open a shell inside the cluster, with kubectl, helm and helm3
	@tests/cluster/cluster shell

.PHONY: cluster-test
cluster-test: ## Test the test bed itself
	@tests/cluster/selftest

.PHONY: kubectl
kubectl: ## Run kubectl inside the cluster: make kubectl ARGS="get pods -A"
	@tests/cluster/cluster run kubectl $(ARGS)
