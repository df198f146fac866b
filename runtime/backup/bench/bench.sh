#!/usr/bin/env bash
# Compares mailpland's backups with tar and restic, side by side on one machine, on the tree that
# gen_maildir.py makes. Prints a Markdown table.
#
#   bench.sh MAILPLAND WORK [MESSAGES] [ROUNDS]
#
# WORK is a folder with room for five times the tree (2.9 GB for the standard 50,000 messages). Needs
# python3, age, zstd, tar, restic and GNU time. Caches are warm and the disk is synced before each
# measurement; of several rounds the median counts. The peers run in turn within a round, so that load
# from elsewhere meets all of them.
set -euo pipefail
mailpland=$(realpath "$1") work=$2 messages=${3:-50000} rounds=${4:-3}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$work"
work=$(realpath "$work")
tree=$work/tree
cd "$work"
export RESTIC_PASSWORD=bench RESTIC_REPOSITORY=$work/restic RESTIC_CACHE_DIR=$work/restic-cache TIME=

[ -d "$tree" ] || python3 "$here/gen_maildir.py" create "$tree" --messages "$messages" >&2
[ -f key ] || age-keygen -o key 2>/dev/null
cat > config.json <<JSON
{"backup": {"instance": "bench", "state": "$work/state", "local": {"path": "$work/store"}, "signingKeyFile": "$work/sign.key",
 "recipients": ["$(age-keygen -y key)"], "classes": [{"name": "mailboxes", "kind": "maildir", "path": "$tree"}]}}
JSON
snapshot() { ls -d "$work"/store/daily/*; }

# measure NAME COMMAND...: notes wall seconds, processor seconds and kilobytes resident.
measure() {
	local name=$1
	shift
	find "$tree" -type f -print0 | xargs -0 cat > /dev/null # warm
	sync
	/usr/bin/time -f '%e %U %S %M' -o time.out "$@" > out.log 2>&1 || { cat out.log >&2; exit 1; }
	read -r wall user system resident < <(tail -n 1 time.out)
	echo "$name $wall $(echo "$user + $system" | bc) $resident" >> raw.txt
	echo "$name: $wall s" >&2
}
size() { du -sb "$1" | cut -f 1; }

loop() { # the plain emergency loop, without names and times put right; on disk in the end, as a restore is
	mkdir -p loop && for p in "$(snapshot)"/*.tar.zst.age; do age -d -i key "$p" | zstd -dcq | tar -x -C loop; done
	sync -f loop
}

: > raw.txt
for round in $(seq "$rounds"); do
	rm -rf store state restic restic-cache tar.gz restored restic-restored loop
	if [ "$round" = 1 ] || [ -n "${TAR_EVERY_ROUND:-}" ]; then
		measure tar-full tar -czf tar.gz -C "$tree" .
		tarsize=$(size tar.gz)
	fi
	restic init > /dev/null
	measure restic-full restic backup --quiet "$tree"
	measure mailpland-full "$mailpland" backup run --config config.json
	echo "sizes: tar ${tarsize:-} restic $(size restic) mailpland $(size "$(snapshot)")" >&2
	[ "$round" != 1 ] || sizes="$tarsize $(size restic) $(size "$(snapshot)")"
	measure restic-unchanged restic backup --quiet "$tree"
	measure mailpland-unchanged "$mailpland" backup run --config config.json
	python3 "$here/gen_maildir.py" churn "$tree" --seed $((RANDOM + 2)) >&2
	measure restic-day restic backup --quiet "$tree"
	measure mailpland-day "$mailpland" backup run --config config.json
	measure restic-verify restic check --read-data
	measure mailpland-verify "$mailpland" backup verify --identity key --config config.json
	verified=$(sed -n 's/.* good, \(.*\) read.*/\1/p' out.log)
	export -f loop snapshot
	export work
	measure plain-restore bash -ec loop
	measure restic-restore restic restore --quiet latest --target restic-restored
	measure mailpland-restore "$mailpland" restore --identity key --target restored --no-scan --config config.json
	diff -rq -x 'dovecot.index*' "$tree" restored/mailboxes >&2
done

median() { awk -v n="$1" '$1 == n { print $'"$2"' }' raw.txt | sort -n | awk '{ v[NR] = $1 } END { print NR ? v[int((NR + 1) / 2)] : "-" }'; }
echo "| what | wall s | CPU s | MiB resident |"
echo "|---|---|---|---|"
for name in $(awk '!seen[$1]++ { print $1 }' raw.txt); do
	echo "| $name | $(median "$name" 2) | $(median "$name" 3) | $(($(median "$name" 4) / 1024)) |"
done
echo
echo "Tree $(size "$tree") bytes; output of the full run: tar -czf, restic, mailpland: $sizes bytes. verify read $verified."
