# The operator as a static binary in an image from scratch. It talks to the API server alone, whose
# certificate authority is mounted into every pod, so the image needs no certificates either.
FROM docker.io/library/rust:1-bookworm AS build
# With a target named, the flags reach the binary but not the build scripts, which have to stay dynamic.
ENV RUSTFLAGS="-C target-feature=+crt-static"
WORKDIR /src
COPY . .
RUN target=$(rustc -vV | sed -n 's/^host: //p') \
 && cargo build --release --locked --target "$target" \
 && cp "target/$target/release/mfa-operator" /mfa-operator

FROM scratch
COPY --from=build /mfa-operator /mfa-operator
USER 65532:65532
ENTRYPOINT ["/mfa-operator"]
