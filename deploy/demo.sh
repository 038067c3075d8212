#!/usr/bin/env bash
# A failover to watch: records flow, a partition's leader is killed, nothing acknowledged is lost.
#   deploy/demo.sh <jackdaw> <cluster folder>      (the cluster runs already: make up)
set -euo pipefail
jackdaw=$1 folder=$2
bootstrap=$("$jackdaw" local status --directory "$folder" | sed -n 's/.*bootstrap.servers=//p')
topic=demo-$$ count=20000
ask() { "$jackdaw" "$1" --bootstrap-server "$bootstrap" "${@:2}"; }

echo "== a topic with one partition on three brokers"
ask topics --create --topic "$topic" --partitions 1 --replication-factor 3
ask topics --describe --topic "$topic"
leader=$(ask topics --describe --topic "$topic" | sed -n 's/.*Leader: \([0-9]*\).*/\1/p')

echo "== $count numbered records with acks=all, while broker $leader, the leader, is killed"
(for n in $(seq "$count"); do echo "$n"; [ $((n % 1000)) -eq 0 ] && sleep 0.2; done; true) |
  ask console-producer --topic "$topic" --request-required-acks all &
producer=$!
sleep 1.5
kill -9 "$(cat "$folder/broker-$leader/broker-$leader.pid")"
echo "broker $leader is dead"
wait "$producer"
ask topics --describe --topic "$topic"

echo "== every record is there, once and in order"
ask console-consumer --topic "$topic" --partition 0 --offset earliest --max-messages "$count" \
  --timeout-ms 20000 2>/dev/null >"$folder/demo.out"
seq "$count" | cmp - "$folder/demo.out" || { echo "records are missing" >&2; exit 1; }
echo "all $count records, in order"
rm -f "$folder/demo.out"

echo "== the dead broker comes back and catches up"
"$jackdaw" local up --directory "$folder" >/dev/null
for _ in $(seq 50); do
  [ -z "$(ask topics --describe --topic "$topic" --under-replicated-partitions)" ] && break
  sleep 0.2
done
ask topics --describe --topic "$topic"
ask topics --delete --topic "$topic"
