"""A shell script that starts the replicas of a server, stays with them, and takes them down."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from itertools import groupby

from cli.launching.addresses import reached_at
from cli.launching.served import ServedReplica

HEAD = r"""#!/bin/sh
# Starts the replicas of one server and stays with them:  sh launch.sh SERVER
#
# Replicas that share a GPU start one after the other, each when the one before it is healthy.
# When one ends, or is not healthy in time, the script says which, stops the others and ends
# with 1. Ctrl-C and TERM stop them all. In the environment:
#   HEALTHY_WITHIN_S (1800)  longest that a replica may take to load
#   STOP_WITHIN_S (30)       longest that replicas may take to stop before they are killed
#   POLL_S (1)               seconds between two looks
set -u
# The GPU numbers of the plan are those of the bus, as nvidia-smi shows them.
export CUDA_DEVICE_ORDER=PCI_BUS_ID
healthy_within_s=${HEALTHY_WITHIN_S:-1800}
stop_within_s=${STOP_WITHIN_S:-30}
poll_s=${POLL_S:-1}
running= # REPLICA=PID of all that were started
waiting= # REPLICA=URL of those of which nobody knows yet whether they are healthy

say() {
  echo "$@" >&2
}

start() { # REPLICA GPUS URL COMMAND...
  replica=$1 gpus=$2 url=$3
  shift 3
  say "replica $replica: starting on GPUs $gpus, $url"
  # A session of its own, so that whatever the replica starts can be stopped with it.
  CUDA_VISIBLE_DEVICES=$gpus setsid "$@" &
  running="$running $replica=$!"
  waiting="$waiting $replica=$url"
}

signal() { # NAME: send it to all replicas and what they have started
  for entry in $running; do
    pid=${entry#*=}
    kill -s "$1" -- "-$pid" 2>/dev/null || kill -s "$1" "$pid" 2>/dev/null
  done
}

any_left() {
  for entry in $running; do
    kill -s 0 -- "-${entry#*=}" 2>/dev/null && return 0
  done
  return 1
}

stop() { # CODE
  trap '' INT TERM HUP
  signal TERM
  deadline=$(($(date +%s) + stop_within_s))
  while any_left && [ "$(date +%s)" -lt "$deadline" ]; do
    sleep "$poll_s"
  done
  signal KILL
  wait
  exit "$1"
}

look() { # end where a replica has ended
  for entry in $running; do
    if ! kill -s 0 "${entry#*=}" 2>/dev/null; then
      wait "${entry#*=}"
      say "replica ${entry%%=*} has ended with code $?; stopping the others"
      stop 1
    fi
  done
}

answers() { # URL
  if command -v curl >/dev/null; then
    curl --fail --silent --output /dev/null --max-time 5 --noproxy '*' "$1"
  else
    python3 -c 'import sys, urllib.request as u
u.build_opener(u.ProxyHandler({})).open(sys.argv[1], timeout=5)' "$1" 2>/dev/null
  fi
}

until_healthy() {
  deadline=$(($(date +%s) + healthy_within_s))
  while [ -n "$waiting" ]; do
    look
    still=
    for entry in $waiting; do
      if answers "${entry#*=}"; then
        say "replica ${entry%%=*}: healthy"
      else
        still="$still $entry"
      fi
    done
    waiting=$still
    if [ -n "$waiting" ]; then
      if [ "$(date +%s)" -ge "$deadline" ]; then
        say "not healthy within $healthy_within_s s:$waiting; stopping all"
        stop 1
      fi
      sleep "$poll_s"
    fi
  done
}

trap 'stop 130' INT
trap 'stop 143' TERM HUP

case "${1:?say the number of the server}" in
"""

TAIL = r"""*)
  say "the plan puts nothing on server $1"
  exit 2
  ;;
esac

say "all replicas of server $1 are healthy"
while :; do
  look
  sleep "$poll_s"
done
"""


def launch_script(served: Sequence[ServedReplica], listen: str) -> str:
    """Write a POSIX shell script that runs the replicas of the server it is called with.

    Parameters
    ----------
    served : sequence of ServedReplica
        Server by server.
    listen : str
        Address that they listen on, by which their health is asked.
    """
    lines = []
    host = reached_at(listen)
    for server, replicas in groupby(served, lambda s: s.slot.server):
        lines.append(f"{server})")
        waves = sorted(replicas, key=lambda s: (s.wave, s.slot.position))
        for _, wave in groupby(waves, lambda s: s.wave):
            for s in wave:
                url = f"http://{host}:{s.port}{s.health}"
                words = shlex.join((str(s.slot.replica), s.gpu_list, url, *s.words))
                lines.append(f"  start {words}")
            lines.append("  until_healthy")
        lines.append("  ;;")
    return HEAD + "\n".join([*lines, TAIL])
