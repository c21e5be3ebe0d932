# The operator as a static binary in an image from scratch. It speaks TLS to the API server alone, whose
# certificate authority is mounted into every pod, so the image needs no certificates either.
FROM docker.io/library/rust:1.95-bookworm@sha256:6258907abe69656e41cd992e0b705cdcfabcbbe3db374f92ed2d47121282d4a1 AS build
# The one of the image: rust-toolchain.toml names a channel, which moves.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /src
COPY . .
RUN cp "$(scripts/static /target)" /mfa-operator

FROM scratch
COPY --from=build /mfa-operator /mfa-operator
USER 65532:65532
ENTRYPOINT ["/mfa-operator"]
