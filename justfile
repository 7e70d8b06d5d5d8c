# Every command of the project; `just` alone lists them.

set positional-arguments

dale := "target/release/dale"

[private]
default:
    @just --list --unsorted

# Train, sample, evaluate and report in one go: `just reproduce mnist`, `fashion-mnist` or `kmnist`
reproduce *arguments: build
    {{dale}} reproduce "$@"

# Everything that is tested, without network and without data
test: setup
    cargo test --release --workspace --features samplers/torch,score-match/torch

# The whole road in a few minutes; fails unless the trained network beats the baselines
smoke: build
    rm -rf target/smoke
    {{dale}} --out-root target/smoke reproduce mnist --preset smoke --check

# Every sampler at 5 to 250 network calls, the paper's own at 1,000 and more, on the shipped weights (or those of a run); about two hours, row by row
compare-samplers *arguments: build
    {{dale}} compare-samplers --check "$@"

# Bits per dimension of the shipped weights' flow on dequantized test images, beside laws in closed form
likelihood *arguments: build
    {{dale}} likelihood "$@"

# The paper's identities in one dimension, each computed twice by different means, and its two-dimensional figures; in under a minute
theory *arguments: build
    {{dale}} theory "$@"

# Dale's law: excitatory and inhibitory units learn by gradient descent and by exponentiated gradient descent; a few minutes
dale *arguments: build
    {{dale}} dales-law "$@"

# The order of every sampler, measured against exact truth, and the rate of changed signs, as a page
orders *arguments: build
    {{dale}} orders "$@"

# Our recipe, the paper's equations and the authors' code, with the same network and as many training images: `just reproduce-full mnist`, or fashion-mnist, kmnist, all; hours, and it goes on where it was
reproduce-full dataset *arguments: build
    scripts/reproduce_full "$@"

# The figures of the paper from the shipped weights, as SVG, PNG and CSV on one page, and the animation; a few minutes
figures *arguments: build
    {{dale}} figures "$@"

# Samples and judges the shipped weights again, and compares with the numbers that ship; some minutes for each data set
results-check *arguments: build
    {{dale}} results-check "$@"

# An experiment once for every cell of a sweep: `just sweep experiments/sweeps/additive.toml --dry-run`
sweep *arguments: build
    {{dale}} sweep "$@"

# Digits from the shipped weights, without any data set
sample *arguments: build
    {{dale}} sample "$@"

# What this machine has and lacks
doctor: build
    {{dale}} doctor

# Benchmarks of the addressed noise and of the sampler kernels, with a table and a chart in results/bench
bench: build
    cargo bench -p gbm-sde -p samplers
    python3 scripts/bench_table.py

# Correctness, speed and quality on a GPU, in at most 8 minutes: results/gpu-check; without a GPU it says so
gpu-check *arguments: build
    {{dale}} gpu-check "$@"

# What the harness costs beside training: logs, checkpoints, start
bench-overhead *arguments: build
    python3 scripts/bench_overhead.py "$@"

# A checkpoint against dd, on this disk
bench-checkpoint *arguments:
    cargo build --quiet --release -p models --example checkpoint_speed
    python3 scripts/bench_checkpoint.py "$@"

# The U-Net against examples/unet.py on the same weights (needs `just setup-pytorch`)
check-unet:
    cargo build --quiet --release -p models --example unet_output
    .venv/bin/python -m pip install --quiet --disable-pip-version-check safetensors==0.8.0
    .venv/bin/python scripts/check_unet.py

# A run's event files, read by TensorBoard itself: `just check-tensorboard runs/mnist/<id>/tensorboard`
check-tensorboard folder:
    [ -x .venv/bin/tensorboard ] || .venv/bin/python -m pip install --quiet --disable-pip-version-check tensorboard==2.21.0
    .venv/bin/python scripts/check_tensorboard.py "$1"

# Report pages in headless Chromium: no console error, no request, no overflow, sorting and values (needs Chromium; `--screenshots FOLDER` keeps pictures)
check-report *arguments:
    @command -v "${CHROMIUM:-chromium}" > /dev/null || command -v chromium-browser > /dev/null || command -v google-chrome > /dev/null || { echo "this needs Chromium: apt-get install chromium, or its path in CHROMIUM" >&2; exit 1; }
    [ -x target/check-report/bin/python ] || python3 -m venv target/check-report
    target/check-report/bin/python -m pip install --quiet --disable-pip-version-check playwright==1.65.2
    target/check-report/bin/python scripts/check_report.py "$@"

# A training step and the sampler kernels against PyTorch, whole runs against numpy, torchsde and diffrax (needs `just setup-pytorch`)
bench-pytorch: build
    .venv/bin/python scripts/bench_pytorch.py
    cargo build --quiet --release -p samplers --example sampler_speed
    .venv/bin/python -m pip install --quiet --disable-pip-version-check torchsde==0.2.6 diffrax==0.7.2 jax==0.10.2
    .venv/bin/python scripts/bench_samplers.py

# The samplers against numpy and diffusers on the same noise (needs `just setup-pytorch`)
oracle-samplers:
    cargo build --quiet --release -p samplers --example run_samplers
    .venv/bin/python -m pip install --quiet --disable-pip-version-check diffusers==0.42.1
    .venv/bin/python scripts/oracle_samplers.py

# The metrics against scipy, pytorch-fid, torch-fidelity, torchmetrics, prdc and scikit-learn; `--speed` times them (needs `just setup-pytorch`)
parity-metrics *arguments:
    cargo build --quiet --release -p metrics --example on_files
    .venv/bin/python -m pip install --quiet --disable-pip-version-check scipy==1.17.1 scikit-learn==1.9.1 torchvision==0.26.0 Pillow tqdm
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps prdc==0.2 pytorch-fid==0.3.0 torch-fidelity==0.4.0 torchmetrics==1.9.0 lightning-utilities==0.15.3 packaging==26.4
    .venv/bin/python scripts/parity_metrics.py "$@"

# Inception-v3 against pytorch-fid and torch-fidelity on the same random weights (needs `just setup-pytorch`)
parity-inception *arguments: build
    .venv/bin/python -m pip install --quiet --disable-pip-version-check torchvision==0.26.0 scipy==1.17.1 tqdm safetensors==0.8.0
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps pytorch-fid==0.3.0 torch-fidelity==0.4.0
    .venv/bin/python scripts/parity_inception.py "$@"

# The forward process with its noise against numpy, on one core, side by side (needs numpy: `just setup-pytorch` has it)
bench-perturb *arguments:
    cargo build --release -p gbm-sde --example perturb_speed
    "$([ -x .venv/bin/python ] && .venv/bin/python -c 'import numpy' 2>/dev/null && echo .venv/bin/python || echo python3)" scripts/bench_perturb.py "$@"

# The four crates that need no libtorch, without it
test-without-libtorch:
    cargo test --release -p gbm-sde -p score-match -p samplers -p metrics

# Changes every operator, sign and comparison of the formulas, one at a time: a test must notice (needs `cargo install cargo-mutants --locked`; an hour or more)
mutants *arguments:
    -cargo mutants -p gbm-sde -p score-match --output target "$@"
    python3 scripts/mutants_report.py target/mutants.out

# The exponential function's bound, at every single precision argument, and signs over 10⁸ updates: a minute or two
test-exhaustive:
    cargo test --release -p gbm-sde --lib -- --ignored
    cargo test --release -p samplers --test signs -- --ignored

# Formatting, lints and docs, warnings denied
lint: setup
    cargo fmt --all --check
    cargo clippy --release --workspace --all-targets --features samplers/torch,score-match/torch -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps --features samplers/torch,score-match/torch

# Build the `dale` program
build: setup
    @cargo build --release -p bench-harness

# Make .venv with the pinned libtorch; a no-op when it is there
setup:
    @scripts/setup

# The same with every wheel that PyTorch's Python needs
setup-pytorch:
    @scripts/setup full
