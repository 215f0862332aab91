# One image; which function or source a container is, its arguments say:
#   docker run IMAGE shared.serve install_release --host=0.0.0.0
#   docker run IMAGE knative.source instances --host=0.0.0.0
# It is started as nobody in particular, on a root file system that is read-only, with /tmp to write to.
#
# BASE brings Python 3.11 or newer with venv, CA certificates and util-linux; give it by digest to have the same one again.
# HELM=given takes the programs .image/helm and .image/chandlery-helm instead of building them, for where there is no image with Go.
# nkeys is published as source only (a few lines of Python); everything else comes as wheels.
# A private package index: --secret id=pip,src=pip.conf
ARG BASE=python:3.11.14-slim-bookworm
ARG GO=golang:1.26-bookworm
ARG HELM=built

FROM --platform=$BUILDPLATFORM ${GO} AS helm-built
ARG TARGETOS TARGETARCH
WORKDIR /src
COPY knative/local/go/helm/ ./
RUN CGO_ENABLED=0 GOFLAGS=-mod=readonly GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false \
    -ldflags "-s -w -X helm.sh/helm/v4/internal/version.version=v4.2.4" -o /out/ helm.sh/helm/v4/cmd/helm ./engine \
    && mv /out/engine /out/chandlery-helm

FROM scratch AS helm-given
COPY .image/helm .image/chandlery-helm /out/

FROM helm-${HELM} AS helm

FROM ${BASE} AS packages
COPY requirements-image.txt /tmp/
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python3 -m venv /opt/chandlery \
    && /opt/chandlery/bin/python -m pip install --no-cache-dir --disable-pip-version-check --only-binary=:all: --no-binary=nkeys \
        --require-hashes --requirement /tmp/requirements-image.txt \
    && /opt/chandlery/bin/python -m pip uninstall --yes pip setuptools

FROM ${BASE}
LABEL org.opencontainers.image.title=chandlery \
    org.opencontainers.image.description="Helm charts as a service on Kubernetes" \
    org.opencontainers.image.licenses=Apache-2.0
COPY --from=packages /opt/chandlery /opt/chandlery
COPY --from=helm /out/helm /out/chandlery-helm /usr/local/bin/
WORKDIR /app
COPY events/ events/
COPY shared/ shared/
COPY functions/ functions/
COPY knative/*.py knative/
COPY knative/base/streams.yaml knative/base/
COPY cli/ cli/
# Nothing can be compiled where nothing can be written.
RUN /opt/chandlery/bin/python -m compileall -q .
ENV PATH=/opt/chandlery/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["python", "-m"]
CMD ["shared.serve"]
