#!/usr/bin/env bash
# Simulated faults, and faults of this machine's kernel; writes the table of docs/durability.md.
#
# usage: Tests/Faults/run.sh --scale PERCENT | --hours HOURS
#
# With --scale, as often as the table asks for, or a part of that. With --hours, over and over with new
# seeds, and the table says how often in all.
set -euo pipefail
cd "$(dirname "$0")/../.."

workload=$(swift build -c release --show-bin-path)/cordwood-workload
exec python3 Tests/Faults/faults.py --workload "$workload" "$@"
