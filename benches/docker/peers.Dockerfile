# ringseal and its peers as one program, for benches/docker/bench.
#
#     docker build -t ringseal-peers -f benches/docker/peers.Dockerfile .

ARG BUILD_IMAGE=rust:1.95.0-slim-bookworm
ARG DEBIAN_IMAGE=debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
LABEL ringseal.stage=build
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY benches benches
# Every member of the workspace has to have its manifest.
COPY tests/simulation/Cargo.toml tests/simulation/
COPY tests/suite/Cargo.toml tests/suite/
RUN cargo build --locked --release --package ringseal-peers \
    && strip -o /ringseal-peers target/release/ringseal-peers

FROM ${DEBIAN_IMAGE}
COPY --from=build /ringseal-peers /usr/local/bin/ringseal-peers
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/ringseal-peers"]
