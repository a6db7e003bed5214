# Stand-ins for the images of the profile `observability`, out of Debian's packages, where no registry of images is at hand:
# metrics (VictoriaMetrics), log-store (VictoriaLogs), log-shipper (syslog-ng). Made by observability.sh.
FROM debian:forky-slim AS debian
# Images without a registry can be older than their package lists say that they may be.
RUN echo 'Acquire::Check-Valid-Until "false";' > /etc/apt/apt.conf.d/99-any-age \
 && apt-get update -qq

FROM debian AS metrics
RUN apt-get install -y -qq --no-install-recommends victoria-metrics wget
ENTRYPOINT ["victoria-metrics"]

# Debian has no package of VictoriaLogs. Its source is in that of VictoriaMetrics, up to trixie's version of it, as a library: these
# are the packages that it imports. They are unpacked, not installed, for they would bring hundreds more.
FROM debian AS log-store-build
RUN cd /etc/apt && for one in sources.list sources.list.d/*; do \
      [ ! -f "$one" ] || sed s/forky/trixie/g "$one" > "sources.list.d/trixie-${one##*/}"; done \
 && find sources.list.d -name 'trixie-sources.list' -execdir mv {} trixie.list ';' \
 && apt-get update -qq
RUN mkdir /go && cd /tmp && for one in golang-1.24-go golang-1.24-src \
      golang-github-victoriametrics-victoriametrics-dev golang-github-victoriametrics-easyproto-dev \
      golang-github-victoriametrics-fastcache-dev golang-github-victoriametrics-metrics-dev \
      golang-github-victoriametrics-metricsql-dev golang-github-valyala-bytebufferpool-dev \
      golang-github-valyala-fastjson-dev golang-github-valyala-fastrand-dev golang-github-valyala-fasttemplate-dev \
      golang-github-valyala-gozstd-dev golang-github-valyala-histogram-dev golang-github-valyala-quicktemplate-dev \
      golang-github-bmatcuk-doublestar-dev golang-github-cespare-xxhash-dev golang-github-golang-snappy-dev \
      golang-github-klauspost-compress-dev golang-golang-x-net-dev golang-golang-x-sys-dev golang-golang-x-text-dev \
      golang-gopkg-yaml.v2-dev; \
    do echo "$one/trixie"; done | xargs apt-get download -qq && for one in *.deb; do dpkg -x "$one" /go; done && rm -- *.deb
RUN cd /go/usr/lib/go-1.24 \
 && GOROOT=/go/usr/lib/go-1.24 GOPATH=/go/usr/share/gocode GO111MODULE=off CGO_ENABLED=0 GOTOOLCHAIN=local \
    bin/go build -o /victoria-logs github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-logs

FROM debian AS log-store
RUN apt-get install -y -qq --no-install-recommends wget
COPY --from=log-store-build /victoria-logs /usr/local/bin/
ENTRYPOINT ["victoria-logs"]

FROM debian AS log-shipper
RUN apt-get install -y -qq --no-install-recommends syslog-ng-core syslog-ng-mod-http
ENTRYPOINT ["syslog-ng", "-F"]
