"""Prints what turns.sh measured in one cell: medians, and the medians of each round's ratios."""
import json
import statistics
import sys

rounds = {}
for line in open(sys.argv[1]):
    turn = json.loads(line)
    rounds.setdefault(turn["labels"]["sys"], []).append(turn)


def ratio(a, b, of):
    return statistics.median(of(x) / of(y) for x, y in zip(rounds[a], rounds[b]))


def rate(turn):
    return turn["msgs_per_s"]


def p99(turn):
    return turn["p99_ms"]


first = rounds["peer"][0]
print(f"{first['size']} bytes, {first['conc']} at once, {len(rounds['peer'])} rounds")
for system, turns in rounds.items():
    cpu = {who: statistics.median(t["cpu_ms_per_msg"].get(who, 0) for t in turns) for who in ("app", "dovecot", "self")}
    print(f"  {system:8} {statistics.median(map(rate, turns)):7.1f} msg/s, {ratio(system, 'peer', rate):5.2f} of the peer, "
          f"{ratio(system, 'ceiling', rate):4.2f} of the ceiling; p99 {statistics.median(map(p99, turns)):6.1f} ms, "
          f"{ratio(system, 'peer', p99):4.2f} of the peer's; CPU ms per message: "
          + ", ".join(f"{who} {ms:.2f}" for who, ms in cpu.items())
          + f"; {max(t['rss_max_mb'].get('app', 0) for t in turns):.0f} MB, {sum(t['errors'] for t in turns)} errors")
