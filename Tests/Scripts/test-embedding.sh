#!/usr/bin/env bash
# Builds and runs the README's example as a stranger would: in a package of its own, outside this
# tree, that depends on Cordwood with `traits: []`. Checks that nothing of the command was fetched.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

example=Examples/Quickstart
cp -R "$root/$example" "$work/quickstart"
rm -rf "$work/quickstart/.build"
cd "$work/quickstart"

# The first Swift block of the README, verbatim.
awk '/^```swift$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' "$root/README.md" \
    >Sources/Quickstart/main.swift
if ! diff -u "$root/$example/Sources/Quickstart/main.swift" Sources/Quickstart/main.swift; then
    echo "The README's first Swift block and $example differ." >&2
    exit 1
fi

export CORDWOOD_PATH=$root
swift build --quiet
if [[ -d .build/checkouts/swift-argument-parser ]] ||
    grep -q argument-parser Package.resolved 2>/dev/null; then
    echo "swift-argument-parser was resolved, although no trait asks for it." >&2
    exit 1
fi

found=$("$(swift build --show-bin-path)/Quickstart")
expected='0 two cords of oak
1 one of birch
7 0.0'
if [[ $found != "$expected"* ]]; then
    printf 'Expected the example to print\n%s...\nfound\n%s\n' "$expected" "$found" >&2
    exit 1
fi
echo "$found"
echo "The README's example builds and runs without the command's dependencies."

# The example of consumer groups, transactions and folds, run twice on one database: the second run
# goes on where the first one ended.
cp -R "$root/Examples/Transfers" "$work/transfers"
cd "$work/transfers"
swift build --quiet --scratch-path "$work/quickstart/.build"
transfers=$(swift build --show-bin-path --scratch-path "$work/quickstart/.build")/Transfers
for balance in 7 14; do
    found=$("$transfers")
    if [[ $found != $'lag 0\nbalance '"$balance" ]]; then
        printf 'Expected the example to print lag 0 and balance %s, found\n%s\n' \
            "$balance" "$found" >&2
        exit 1
    fi
done
echo "The example of transactions builds, runs, and goes on where it ended."

# The example of two databases that both take writes: it prints what docs/causality.md says.
cp -R "$root/Examples/ShoppingCart" "$work/cart"
cd "$work/cart"
swift build --quiet --scratch-path "$work/quickstart/.build"
cart=$(swift build --show-bin-path --scratch-path "$work/quickstart/.build")/ShoppingCart
found=$("$cart")
expected=$(awk '/^<!-- output: Examples\/ShoppingCart -->$/ { wanted = 1 }
    /^```$/ { if (inside) exit } inside; wanted && /^```text$/ { inside = 1 }' "$root/docs/causality.md")
if [[ -z $expected || $found != "$expected" ]]; then
    printf 'Expected the example to print\n%s\nfound\n%s\n' "$expected" "$found" >&2
    exit 1
fi
echo "The example of a shopping cart builds, runs, and prints what the document says."
