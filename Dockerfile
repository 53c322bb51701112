# syntax=docker/dockerfile:1
# One image for both programs; COMPONENT chooses. What the two scripts do is tried without an engine by
# `make image-check`. The release names BASE by digest; only apt and pip of it are used, nothing is taken over.
ARG BASE=debian:12-slim

FROM ${BASE} AS build
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3.11 python3-pip \
 && mkdir /root-of-image
WORKDIR /project
COPY hack/image/base.sh hack/image/base.sh
RUN hack/image/base.sh /root-of-image
COPY . .
RUN hack/image/app.sh /root-of-image

FROM scratch
COPY --from=build /root-of-image /
ENV COMPONENT=eni-controller PATH=/usr/bin
# The controller needs no rights; the DaemonSet asks for root and NET_ADMIN.
USER 65532:65532
ENTRYPOINT ["/usr/bin/python3.11", "-I", "-m", "nodeeni"]
