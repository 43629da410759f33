# The image of the ringseal tool: one static binary on nothing.
#
#     docker build -t ringseal .
#     docker build --target symbols -t ringseal:symbols .
#
# Works with BuildKit and with the classic builder, and uses nothing that only one of them has.
# Where no image can be pulled, benches/docker/make-base-images makes the base images.
#
# The binary is linked statically with glibc: tokio-uring 0.5 does not compile for musl. From 2.34
# on glibc looks up names in /etc/hosts and over DNS without loading a library at run time, so
# names work on scratch as well; tests/containers dials by name. A build image with an older glibc
# would lose that.

ARG BUILD_IMAGE=rust:1.95.0-slim-bookworm
ARG RUN_IMAGE=scratch

FROM ${BUILD_IMAGE} AS build
# By which what the classic builder leaves of this stage can be found, and pruned.
LABEL ringseal.stage=build
WORKDIR /build
# As in --build-arg EXTRA_RUSTFLAGS="-C force-frame-pointers=yes", by which profilers walk stacks.
ARG EXTRA_RUSTFLAGS=
ENV RUSTFLAGS="-C target-feature=+crt-static ${EXTRA_RUSTFLAGS}"
# With a target named, these flags are not for what runs during the build, as macros do.
ENV CARGO_BUILD_TARGET=host-tuple

# The dependencies by themselves, so that a change of our source does not build them again. Cargo
# wants a file for each target whose path the manifests leave to it.
COPY Cargo.toml Cargo.lock ./
COPY benches/peers/Cargo.toml benches/peers/
RUN set -eu; \
    mkdir -p src/bin/ringseal benches/peers/src; \
    touch benches/peers/src/lib.rs; \
    for bench in $(sed -n '/^\[\[bench]]/{n;s/^name = "\(.*\)"/\1/p}' Cargo.toml); do \
        touch "benches/$bench.rs"; \
    done; \
    echo '//! Stands in for the source.' | tee src/lib.rs src/bin/ringseal/main.rs; \
    echo 'fn main() {}' >>src/bin/ringseal/main.rs; \
    cargo build --locked --release --bin ringseal

COPY src src
# The times of the copied files may lie before those of the build above.
RUN set -eu; \
    touch src/lib.rs src/bin/ringseal/main.rs; \
    cargo build --locked --release --bin ringseal; \
    mkdir -p /out/symbols /out/stripped; \
    cp target/*/release/ringseal /out/symbols/; \
    strip -o /out/stripped/ringseal /out/symbols/ringseal

# For profilers: the same binary with its symbols.
FROM ${RUN_IMAGE} AS symbols
COPY --from=build /out/symbols/ringseal /usr/local/bin/ringseal
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/ringseal"]

FROM ${RUN_IMAGE} AS run
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="ringseal" \
      org.opencontainers.image.description="Encrypted message streams over io_uring for Linux server backends" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /out/stripped/ringseal /usr/local/bin/ringseal
USER 65532:65532
STOPSIGNAL SIGTERM
# Asks whatever this container's ringseal listens on.
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s --retries=3 \
    CMD ["/usr/local/bin/ringseal", "health"]
ENTRYPOINT ["/usr/local/bin/ringseal"]
