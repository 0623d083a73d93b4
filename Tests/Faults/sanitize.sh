#!/usr/bin/env bash
# Every Swift test under the address sanitizer, with undefined behaviour of the C kernels trapped, and
# under the thread sanitizer.
#
# One test after the other: side by side, and some ten times slower, each would take as long as all, and
# run into the limits that are there to end what hangs.
#
# usage: Tests/Faults/sanitize.sh [address] [thread], with FILTER='Suites|ByName' for some tests only
set -euo pipefail
cd "$(dirname "$0")/../.."

kinds=("$@")
((${#kinds[@]} > 0)) || kinds=(address thread)
filter=()
[[ -z ${FILTER:-} ]] || filter=(--filter "$FILTER")
for kind in "${kinds[@]}"; do
    printf '\n=== %s sanitizer\n' "$kind"
    case $kind in
    address)
        # Leaks are not looked for: Swift's runtime keeps what it allocates once.
        ASAN_OPTIONS=detect_leaks=0 swift test --no-parallel --sanitize=address --scratch-path .build/address \
            "${filter[@]}" -Xcc -fsanitize=undefined -Xcc -fsanitize-trap=all
        ;;
    thread)
        TSAN_OPTIONS="suppressions=$PWD/Tests/Faults/thread.supp" \
            swift test --no-parallel --sanitize=thread --scratch-path .build/thread \
            "${filter[@]}"
        ;;
    *)
        echo "unknown sanitizer '$kind': expected address or thread" >&2
        exit 64
        ;;
    esac
done
