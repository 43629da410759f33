# ringseal and its peers as one program, for benches/docker/bench.
#
#     docker build -t ringseal-peers -f benches/docker/peers.Dockerfile .
#
# With --build-arg PROFILE=dev it builds in a third of the time, and measures nothing.

ARG BUILD_IMAGE=rust:1.95.0-slim-bookworm
ARG DEBIAN_IMAGE=debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
LABEL ringseal.stage=build
WORKDIR /build
ARG PROFILE=release
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY benches benches
# Every member of the workspace has to have its manifest.
COPY tests/fuzz/Cargo.toml tests/fuzz/
COPY tests/models/Cargo.toml tests/models/
COPY tests/simulation/Cargo.toml tests/simulation/
COPY tests/suite/Cargo.toml tests/suite/
# The commit, which figures name. There is no git here to ask.
ARG REVISION=
RUN RINGSEAL_COMMIT="$REVISION" cargo build --locked --profile "$PROFILE" --package ringseal-peers \
    && strip -o /ringseal-peers target/*/ringseal-peers

FROM ${DEBIAN_IMAGE}
COPY --from=build /ringseal-peers /usr/local/bin/ringseal-peers
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/ringseal-peers"]
