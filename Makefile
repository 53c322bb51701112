# `make help` lists the targets. Each sets up what it needs first (hack/setup.sh), so that a fresh clone works.
BIN := .venv/bin
WITH_TOOLS := PATH="$(CURDIR)/$(BIN):$$PATH"
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help demo test tools package package-check newcomer bench bench-quick bench-real bench-agent chaos soak apitest monitoringtest symptoms waits nodetest podstest pods-wait cluster cluster-parts clustertest neighbourstest verify requirements clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

ready-%:
	@hack/setup.sh $*

demo: ready-run ## Try it in a minute: no AWS, no cluster
	@$(BIN)/nodeeni demo

test: ready-test ## Run the test suite
	@hack/as-root.sh $(BIN)/pytest -n 8 --dist worksteal --skips-as-listed tests/skips.txt

tools: ready-test ## Put kubectl, helm and aws beside nodeeni in .venv/bin

WITH_ETCD := PATH="$${KUBEBUILDER_ASSETS:+$$KUBEBUILDER_ASSETS:}$$PATH"

# Those that meet an API server. Each worker starts one of its own (300 MB).
APITESTS := tests/contract tests/api tests/kube tests/agent tests/sandbox/kube tests/controller tests/upgrade \
  tests/deploy tests/faults/test_chaos.py tests/faults/test_signals.py tests/faults/test_killed_anywhere.py \
  tests/faults/test_each_fault.py

apitest: ready-apitest ## Run the tests against a real kube-apiserver (built once: 5 minutes; KUBERNETES=1.36 for another)
	@server=$$(hack/apiserver/build.sh) && hack/helm.sh >/dev/null && $(WITH_ETCD) NODEENI_APISERVER="$$server" \
	  NODEENI_RECORD="$(RECORD)" $(BIN)/pytest -n 4 --dist worksteal $(APITESTS)

nodetest: ready-nodetest ## Run the ENI manager on real machines, guests under QEMU (root; CELLS=all, RELEASE=13)
	@NODEENI_NODES=1 CELLS="$(CELLS)" $(BIN)/pytest -q -s $(or $(TESTS),tests/nodes)

podstest: ready-nodetest ## Give pods addresses on ENIs by Multus, ipvlan and host-local, on two machines (root, Go; minutes)
	@NODEENI_PODS=1 $(BIN)/pytest -q -s $(or $(TESTS),tests/pods)

monitoringtest: ready-test ## Have a real Prometheus scrape a sandbox, and try each alert and panel (a minute; WRITE=1 draws docs/dashboard.svg)
	@built=$$(hack/prometheus.sh) && NODEENI_PROMETHEUS="$$built" $(WITH_TOOLS) hack/as-root.sh $(BIN)/$(if $(WRITE),python -m tests.monitoring.pictures,pytest -q tests/monitoring)

symptoms: ready-test ## Write docs/symptoms.md from runs in the sandbox
	@NODEENI_WRITE_SYMPTOMS=1 $(BIN)/pytest -q -p no:xdist tests/symptoms

waits: ready-test ## Ask tools that wait, such as Helm 4, what they make of a NodeENI (WRITE=1 writes docs/gitops.md)
	@judges=$$(hack/waiting/build.sh) && helm=$$(hack/helm.sh) && NODEENI_JUDGES="$$judges" NODEENI_HELM4="$$helm" $(WITH_TOOLS) \
	  $(BIN)/$(if $(WRITE),python -m tests.contract.waiting,pytest -q tests/contract/test_tools_that_wait.py)

pods-wait: ready-apitest ## Let pods wait for their network, by the real scheduler and the Node Readiness Controller (built once: minutes)
	@server=$$(hack/apiserver/build.sh) && export NODEENI_APISERVER="$$server" && \
	  NODEENI_KUBERNETES=$$(hack/apiserver/build.sh --all) && \
	  NODEENI_READINESS_CONTROLLER=$$(hack/readiness/build.sh) && \
	  export NODEENI_KUBERNETES NODEENI_READINESS_CONTROLLER && \
	  $(WITH_ETCD) $(BIN)/pytest -q tests/contract/test_pods_wait.py

cluster: ready-cluster ## A real cluster on this machine until Ctrl-C: two guests with containerd and kubelet (root)
	@$(WITH_TOOLS) $(BIN)/python -m hack.cluster

cluster-parts: ready-cluster ## Build what that cluster is made from, once a machine, and start nothing
	@$(WITH_TOOLS) $(BIN)/python -m hack.cluster --prepare

clustertest: ready-cluster ## An operator's first hour in that cluster; upgrades, restarts and lost nodes under ENIs (root; half an hour, once 10 minutes more)
	@NODEENI_CLUSTER=1 $(WITH_TOOLS) $(BIN)/pytest -q -s $(or $(TESTS),tests/cluster)

neighbourstest: ready-cluster ## Multus in that cluster; kube-state-metrics, Prometheus and the Node Readiness Controller look at it (root; built once: 10 minutes)
	@NODEENI_NEIGHBOURS=$$(hack/neighbours/build.sh) && NODEENI_READINESS_CONTROLLER=$$(hack/readiness/build.sh) && \
	  NODEENI_PROMETHEUS=$$(hack/prometheus.sh) && \
	  export NODEENI_NEIGHBOURS NODEENI_READINESS_CONTROLLER NODEENI_PROMETHEUS && \
	  NODEENI_CLUSTER=1 $(WITH_TOOLS) $(BIN)/pytest -q -s $(or $(TESTS),tests/cluster/test_with_neighbours.py tests/cluster/test_with_multus.py)

chaos: ready-dev ## Break everything for MINUTES=5 of chaos, or replay SEED=n; writes docs/reliability.md
	@$(BIN)/python -m tests.faults.report $(if $(SEED),--seed $(SEED),--minutes $(or $(MINUTES),5))

soak: ready-apitest ## Live through MINUTES=60 of everything at once, by SEED=1, on a real kube-apiserver; writes docs/reliability.md
	@server=$$(hack/apiserver/build.sh) && $(WITH_ETCD) NODEENI_APISERVER="$$server" \
	  $(BIN)/python -m tests.faults.soak --minutes $(or $(MINUTES),60) --seed $(or $(SEED),1)

package: ready-dev ## Build the wheel and the sdist into dist/
	@rm -rf dist && $(BIN)/python -m hatchling build

package-check: package ## Install them by pipx, uv and pip in clean environments of each Python found, and try them
	@$(WITH_TOOLS) hack/package-check.sh dist

newcomer: ready-newcomer ## The README's two commands in bare roots of Debian 12 and 13, as root and as a user (root, an hour)
	@hack/newcomer.sh $(TARGETS)

bench: ready-run ## Measure what is promised, against EC2's own limits (17 minutes); writes docs/benchmarks.md
	@$(BIN)/python -m bench --docs docs

bench-real: ready-apitest ## Measure scale on a real kube-apiserver with 5,000 nodes (7 minutes); writes docs/benchmarks.md
	@server=$$(hack/apiserver/build.sh) && $(WITH_ETCD) NODEENI_APISERVER="$$server" $(BIN)/python -m bench --real --docs docs

bench-agent: ready-dev ## Measure the node agent on real links (root, 6 minutes); writes docs/benchmarks.md
	@$(BIN)/python -m bench.agent --docs docs

bench-quick: ready-run ## The same for daily use: 3 minutes, nothing written
	@$(BIN)/python -m bench --quick

verify: ready-dev ## Lint, types, import order, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python hack/generate.py --check
	$(WITH_TOOLS) $(BIN)/python hack/render.py --check
	$(WITH_TOOLS) hack/lint-deploy.sh

generate: ready-dev ## Write the generated files (CRDs)
	@$(BIN)/python hack/generate.py

render: ready-dev ## Write what is derived from the chart (schema, deploy/*.yaml)
	@$(WITH_TOOLS) $(BIN)/python hack/render.py

image-check: ready-dev ## Do what the Dockerfile does, without an engine, and let it work (root, Debian 12)
	@root=$$(mktemp -d)/root && hack/image/check.sh $$root && \
	  NODEENI_IMAGE_ROOT=$$root $(BIN)/pytest -q -s tests/deploy/test_built_image.py; status=$$?; rm -rf $$root; exit $$status

requirements: ready-dev ## Pin the dependencies anew, with hashes
	@for spec in "run --extra sandbox" "image -c requirements/run.txt" "dev --extra sandbox --group dev" \
	  "aws --group aws" "build --group build" "kubectl --no-deps --group kubectl"; do set -- $$spec; name=$$1; shift; \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    $$(case $$name in aws|build|kubectl) ;; *) echo pyproject.toml;; esac) "$$@" -o requirements/$$name.txt; done

clean: ## Remove the environments and caches
	@rm -rf .venv .venv-aws .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
