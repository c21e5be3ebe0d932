# The operator as a static binary in an image from scratch. It talks to the API server alone, whose
# certificate authority is mounted into every pod, so the image needs no certificates either.
FROM docker.io/library/rust:1-bookworm AS build
WORKDIR /src
COPY . .
RUN cp "$(scripts/static /target)" /mfa-operator

FROM scratch
COPY --from=build /mfa-operator /mfa-operator
USER 65532:65532
ENTRYPOINT ["/mfa-operator"]
