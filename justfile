# What a developer runs by hand; `just` alone lists it. CI runs .ci/run, and so does `just ci`.

# List the recipes
default:
    @just --list

# All tests, as the README has it
test *filter:
    cargo test {{filter}}

# Formatting and lints
check:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings

# Format the sources
fmt:
    cargo fmt

# Advisories, licences and sources of the dependencies (needs cargo-deny)
deny:
    cargo deny check

# Exactly what CI runs (installs Debian packages that are missing, so: as root)
ci:
    .ci/run

# Write docs/cli.md from the command line's own help
docs:
    HYDRANT_BLESS=1 cargo test help_pages

# The README's first command, into a throw-away repository
demo:
    cargo run --release -- run --once --fleet fixtures/fleets/quickstart --repo "$(mktemp -d)/gitops.git"

# All benchmarks of the line; a name picks some: just bench render
bench *name:
    cargo bench --bench line -- {{name}}

# Whole processes against kubectl kustomize, and whole runs at several sizes
bench-whole *sizes:
    cargo bench --bench whole -- {{sizes}}

# The static binary of the container image (needs musl-tools and the Rust target)
static:
    cargo build --profile dist --target x86_64-unknown-linux-musl
