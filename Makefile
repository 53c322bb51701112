# `make help` lists the targets. Each sets up what it needs first, so that a fresh clone works.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
AWSBIN := .venv-aws/bin
PIP    := pip install --quiet --disable-pip-version-check --require-hashes

.DEFAULT_GOAL := help
.PHONY: help demo test bench bench-quick bench-real bench-agent chaos apitest verify requirements clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.run: requirements/run.txt pyproject.toml
	@echo "setting up $(VENV) (once) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/$(PIP) -r requirements/run.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	@$(BIN)/$(PIP) -r requirements/dev.txt
	@touch $@

.venv-aws/.done: requirements/aws.txt
	@$(PYTHON) -m venv .venv-aws
	@$(AWSBIN)/$(PIP) -r requirements/aws.txt
	@touch $@

demo: $(VENV)/.run ## Try it in a minute: no AWS, no cluster
	@$(BIN)/nodeeni demo

test: $(VENV)/.dev .venv-aws/.done ## Run the test suite
	@PATH="$(CURDIR)/$(AWSBIN):$$PATH" $(BIN)/pytest -n 4

WITH_ETCD := PATH="$${KUBEBUILDER_ASSETS:+$$KUBEBUILDER_ASSETS:}$$PATH"

# Those that meet an API server. Each worker starts one of its own (300 MB).
APITESTS := tests/contract tests/api tests/kube tests/agent tests/sandbox/kube tests/controller tests/upgrade \
  tests/deploy tests/faults/test_chaos.py tests/faults/test_signals.py tests/faults/test_killed_anywhere.py \
  tests/faults/test_each_fault.py

apitest: $(VENV)/.dev ## Run the tests against a real kube-apiserver (built once: 5 minutes)
	@$(WITH_ETCD) command -v etcd >/dev/null \
	  || { echo "apitest: there is no etcd: apt-get install etcd-server, or set KUBEBUILDER_ASSETS"; exit 1; }
	@server=$$(hack/apiserver/build.sh) && $(WITH_ETCD) NODEENI_APISERVER="$$server" \
	  NODEENI_RECORD="$(RECORD)" $(BIN)/pytest -n 2 $(APITESTS)

chaos: $(VENV)/.dev ## Break everything for MINUTES=5 of chaos, or replay SEED=n; writes docs/reliability.md
	@$(BIN)/python -m tests.faults.report $(if $(SEED),--seed $(SEED),--minutes $(or $(MINUTES),5))

bench: $(VENV)/.run ## Measure what is promised, against EC2's own limits (17 minutes); writes docs/benchmarks.md
	@$(BIN)/python -m bench --docs docs

bench-real: $(VENV)/.run ## Measure scale on a real kube-apiserver with 5,000 nodes (7 minutes); writes docs/benchmarks.md
	@$(WITH_ETCD) command -v etcd >/dev/null \
	  || { echo "bench-real: there is no etcd: apt-get install etcd-server, or set KUBEBUILDER_ASSETS"; exit 1; }
	@server=$$(hack/apiserver/build.sh) && $(WITH_ETCD) NODEENI_APISERVER="$$server" $(BIN)/python -m bench --real --docs docs

bench-agent: $(VENV)/.dev ## Measure the node agent on real links (root, 6 minutes); writes docs/benchmarks.md
	@$(BIN)/python -m bench.agent --docs docs

bench-quick: $(VENV)/.run ## The same for daily use: 3 minutes, nothing written
	@$(BIN)/python -m bench --quick

verify: $(VENV)/.dev ## Lint, types, import order, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python hack/generate.py --check
	$(BIN)/python hack/render.py --check
	PATH="$(CURDIR)/$(BIN):$$PATH" hack/lint-deploy.sh

generate: $(VENV)/.dev ## Write the generated files (CRDs)
	@$(BIN)/python hack/generate.py

render: $(VENV)/.dev ## Write what is derived from the chart (schema, deploy/*.yaml; needs helm)
	@$(BIN)/python hack/render.py

image-check: $(VENV)/.dev ## Do what the Dockerfile does, without an engine, and let it work (root, Debian 12, helm)
	@root=$$(mktemp -d)/root && hack/image/check.sh $$root && \
	  NODEENI_IMAGE_ROOT=$$root $(BIN)/pytest -q -s tests/deploy/test_built_image.py; status=$$?; rm -rf $$root; exit $$status

requirements: $(VENV)/.dev ## Pin the dependencies anew, with hashes
	@for spec in "run --extra sandbox" "image -c requirements/run.txt" "dev --extra sandbox --group dev" \
	  "aws --group aws" "build --group build"; do set -- $$spec; name=$$1; shift; \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    $$(case $$name in aws|build) ;; *) echo pyproject.toml;; esac) "$$@" -o requirements/$$name.txt; done

clean: ## Remove the environments and caches
	@rm -rf $(VENV) .venv-aws .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
