# The image of the programs, ringseal and ringseal-bench: static binaries on nothing.
#
#     docker build -t ringseal .
#     docker build --target symbols -t ringseal:symbols .
#
# With --build-arg PROFILE=dev it builds in a third of the time, and is slow.
#
# Works with BuildKit and with the classic builder, and uses nothing that only one of them has.
# Where no image can be pulled, benches/docker/make-base-images makes the base images.
#
# The binaries are linked statically with glibc: tokio-uring 0.5 does not compile for musl. From 2.34
# on glibc looks up names in /etc/hosts and over DNS without loading a library at run time, so
# names work on scratch as well; tests/containers dials by name. A build image with an older glibc
# would lose that.

ARG BUILD_IMAGE=rust:1.95.0-slim-bookworm
ARG RUN_IMAGE=scratch

FROM ${BUILD_IMAGE} AS build
# By which what the classic builder leaves of this stage can be found, and pruned.
LABEL ringseal.stage=build
WORKDIR /build
# dev builds quickly; see the top.
ARG PROFILE=release
# As in --build-arg EXTRA_RUSTFLAGS="-C force-frame-pointers=yes", by which profilers walk stacks.
ARG EXTRA_RUSTFLAGS=
ENV RUSTFLAGS="-C target-feature=+crt-static ${EXTRA_RUSTFLAGS}"
# With a target named, these flags are not for what runs during the build, as macros do.
ENV CARGO_BUILD_TARGET=host-tuple

# The dependencies by themselves, so that a change of our source does not build them again. Cargo
# wants a file for each target whose path the manifests leave to it.
COPY Cargo.toml Cargo.lock ./
COPY benches/peers/Cargo.toml benches/peers/
COPY src/bin/Cargo.toml src/bin/
COPY tests/fuzz/Cargo.toml tests/fuzz/
COPY tests/models/Cargo.toml tests/models/
COPY tests/simulation/Cargo.toml tests/simulation/
COPY tests/suite/Cargo.toml tests/suite/
RUN set -eu; \
    mkdir -p src/bin/common src/bin/ringseal src/bin/ringseal-bench benches/peers/src; \
    touch benches/peers/src/lib.rs; \
    for bench in $(sed -n '/^\[\[bench]]/{n;s/^name = "\(.*\)"/\1/p}' Cargo.toml); do \
        touch "benches/$bench.rs"; \
    done; \
    echo '//! Stands in for the source.' | tee src/lib.rs src/bin/common/lib.rs src/bin/ringseal/main.rs; \
    echo 'fn main() {}' >>src/bin/ringseal/main.rs; \
    cp src/bin/ringseal/main.rs src/bin/ringseal-bench/; \
    cargo build --locked --profile "$PROFILE" --bins

COPY src src
# The commit, which figures name. There is no git here to ask.
ARG REVISION=
# The times of the copied files may lie before those of the build above.
RUN set -eu; \
    touch src/lib.rs src/bin/common/lib.rs src/bin/*/main.rs; \
    RINGSEAL_COMMIT="$REVISION" cargo build --locked --profile "$PROFILE" --bins; \
    mkdir -p /out/symbols /out/stripped; \
    for program in ringseal ringseal-bench; do \
        cp target/*/*/"$program" /out/symbols/; \
        strip -o "/out/stripped/$program" "/out/symbols/$program"; \
    done

# For profilers: the same binaries with their symbols.
FROM ${RUN_IMAGE} AS symbols
COPY --from=build /out/symbols/ /usr/local/bin/
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
COPY --from=build /out/stripped/ /usr/local/bin/
USER 65532:65532
STOPSIGNAL SIGTERM
# Asks whatever this container's ringseal listens on.
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s --retries=3 \
    CMD ["/usr/local/bin/ringseal", "health"]
ENTRYPOINT ["/usr/local/bin/ringseal"]
