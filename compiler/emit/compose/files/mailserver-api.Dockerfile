# mailpland as mailserver-api: ingest, scheduler, health and metrics. The build folder is bin/, where apply lays the binary
# of its own version: what is built is what was reviewed, and no secret of the project is in the folder.
FROM alpine:3.22 AS base
RUN apk add --no-cache ca-certificates tzdata

FROM scratch
COPY --from=base /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=base /usr/share/zoneinfo /usr/share/zoneinfo
COPY mailpland /mailpland
# Nobody else on the host has this number; scratch has no names.
USER 65532:65532
ENTRYPOINT ["/mailpland"]
CMD ["serve"]
