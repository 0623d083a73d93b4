// swift-tools-version: 6.2
import PackageDescription

/// A server's package that embeds Cordwood: `traits: []` leaves out the command and what only the
/// command needs.
let cordwood = Context.environment["CORDWOOD_PATH"] ?? "../.."

let package = Package(
    name: "shopping-cart",
    dependencies: [.package(name: "cordwood", path: cordwood, traits: [])],
    targets: [
        .executableTarget(
            name: "ShoppingCart", dependencies: [.product(name: "Cordwood", package: "cordwood")])
    ]
)
