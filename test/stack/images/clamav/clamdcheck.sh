#!/bin/sh
# Healthy when clamd on loopback answers a ping.
echo PING | timeout 5 nc -N 127.0.0.1 3310 | grep -q PONG
