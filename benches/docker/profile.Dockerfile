# Profilers beside the binaries that have their symbols. Needs the image ringseal:symbols; the
# README beside this file says how to use it.
#
#     docker build -t ringseal:profile - <benches/docker/profile.Dockerfile

ARG BUILD_IMAGE=rust:1.95.0-slim-bookworm
ARG DEBIAN_IMAGE=debian:bookworm-slim
ARG SYMBOLS_IMAGE=ringseal:symbols

FROM ${BUILD_IMAGE} AS samply
LABEL ringseal.stage=samply
RUN cargo install --locked --root /out samply

FROM ${SYMBOLS_IMAGE} AS symbols

FROM ${DEBIAN_IMAGE}
RUN apt-get update \
    && apt-get install -y --no-install-recommends linux-perf \
    && rm -rf /var/lib/apt/lists/*
COPY --from=samply /out/bin/samply /usr/local/bin/samply
COPY --from=symbols /usr/local/bin/ringseal /usr/local/bin/ringseal-bench /usr/local/bin/
# Figures and profiles go here; mount something that the user may write to.
WORKDIR /profiles
