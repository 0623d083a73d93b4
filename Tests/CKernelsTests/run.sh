#!/usr/bin/env bash
# Compiles the C kernels with their tests and runs them under every value of CORDWOOD_ISA.
#   run.sh [native]  with clang, under the address and undefined-behaviour sanitizers and then
#                    optimised, on this machine
#   run.sh arm       with a cross compiler, for 64-bit ARM under qemu
set -euo pipefail
cd "$(dirname "$0")/../.."

kernels=CKernels
sources=("$kernels"/CCordwoodChecksum/*.c "$kernels"/CCordwoodKernels/*.c
    "$kernels"/CCordwoodKernels/*/*.c Tests/CKernelsTests/*.c)
includes=(-I "$kernels/CCordwoodChecksum/include" -I "$kernels/CCordwoodKernels/include")
output=$(mktemp -d)
trap 'rm -rf "$output"' EXIT

# compile NAME COMPILER FLAGS...
compile() {
    local name=$1
    shift
    "$@" -std=gnu17 -Wall -Wextra -Werror "${includes[@]}" "${sources[@]}" -lm -o "$output/$name"
}

# run_each ISAS COMMAND... side by side, with each value of CORDWOOD_ISA, with none, and with an empty one
run_each() {
    local isa number=0 failed=0 pids=()
    local runs=("-u CORDWOOD_ISA" "CORDWOOD_ISA=")
    for isa in $1; do
        runs+=("CORDWOOD_ISA=$isa")
    done
    shift
    for isa in "${runs[@]}"; do
        # shellcheck disable=SC2086 # Two words are two arguments.
        env $isa "$@" >"$output/log$number" 2>&1 &
        pids+=($!)
        number=$((number + 1))
    done
    for number in "${!pids[@]}"; do
        wait "${pids[$number]}" || failed=1
        cat "$output/log$number"
    done
    return "$failed"
}

case ${1:-native} in
native)
    compile checked clang -fuse-ld=lld -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all
    "$output/checked"
    compile fast clang -O2
    run_each 'scalar avx2 avx512 neon nonsense' "$output/fast"
    ;;
arm)
    # Clang, which compiles the package, does as the sources say; this compiler is told.
    compile arm aarch64-linux-gnu-gcc -O2 -ffp-contract=off -static
    # Each run tests every instruction set's functions; emulated, it takes more than a minute.
    run_each 'avx2 neon' qemu-aarch64 -cpu max "$output/arm"
    # A processor without dot products of bytes, which is asked for them.
    CORDWOOD_ISA=neon-dotprod qemu-aarch64 -cpu cortex-a53 "$output/arm"
    ;;
*)
    echo "usage: $0 [native|arm]" >&2
    exit 2
    ;;
esac
