#!/usr/bin/env bash
# Feeds random bytes to everything that reads bytes: libFuzzer over the targets of Tests/CordwoodFuzzTests,
# with the corpora beside them. Ends with an error at the first crash, and keeps the input.
#
# usage: Tests/Faults/fuzz.sh SECONDS [TARGET ...]
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=$1
shift
targets=("$@")
((${#targets[@]} > 0)) || targets=(batch codec segment index edits state vectors vector-index settings database causality)

export CORDWOOD_FUZZING=1 SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0
scratch=.build/fuzzing
# Release, so that it is fast; with checks of overflow and bounds, as every build has them.
swift build -c release --scratch-path "$scratch" --product cordwood-fuzz \
    --sanitize=fuzzer -Xswiftc -sanitize=fuzzer,address -Xswiftc -enable-testing \
    -Xswiftc -parse-as-library -Xcc -fsanitize=fuzzer-no-link,address
binary=$(swift build -c release --scratch-path "$scratch" --show-bin-path)/cordwood-fuzz

for target in "${targets[@]}"; do
    corpus=$scratch/corpus/$target
    mkdir -p "$corpus" "$scratch/crashes"
    corpora=("$corpus")
    [[ -d Tests/CordwoodFuzzTests/corpus/$target ]] && corpora+=("Tests/CordwoodFuzzTests/corpus/$target")
    printf '\n=== fuzzing %s for %d s\n' "$target" "$seconds"
    # A run that hangs is one that failed: the input that hung is kept as well. Leaks are not looked for:
    # threads that end behind the fuzzer's back, and what Swift keeps for ever, would be taken for some.
    CORDWOOD_FUZZ_TARGET=$target timeout -k 10 $((seconds + 60)) "$binary" \
        -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=65536 \
        -print_final_stats=1 -artifact_prefix="$scratch/crashes/$target-" \
        "${corpora[@]}" 2>&1 |
        grep -E 'stat::|ERROR|SUMMARY|Test unit|Fatal|DONE' || { echo "$target FAILED"; exit 1; }
done
