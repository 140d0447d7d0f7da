#!/bin/sh
# Shows the whole life of a service that is only configured: check, run, enqueue, look, stop.
set -eu
cd "$(dirname "$0")"
rm -rf out

gqm check gqm.yaml
gqm run gqm.yaml &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT

id=$(gqm enqueue email.send --payload '{"to": "ana@example.com"}' --queue critical -c gqm.yaml)
gqm enqueue email.send --payload '{"to": "bo@example.com"}' --delay 1s -c gqm.yaml

tries=0
until [ -f out/sent.txt ] && [ "$(wc -l < out/sent.txt)" -eq 2 ]; do
  tries=$((tries + 1))
  [ "$tries" -lt 300 ] || { echo "the mails were not sent" >&2; exit 1; }
  sleep 0.1
done

gqm job show "$id" -c gqm.yaml
gqm queue list -c gqm.yaml
kill -TERM "$server"
wait "$server"
echo "sent:"
sort out/sent.txt
