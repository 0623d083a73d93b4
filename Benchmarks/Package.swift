// swift-tools-version: 6.2
import PackageDescription

/// The rules of the library's own targets; see `../Package.swift`.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

/// A package of its own, so that what measuring needs is no dependency of the library.
let package = Package(
    name: "cordwood-benchmarks",
    products: [.executable(name: "cordwood-bench", targets: ["CordwoodBench"])],
    dependencies: [
        .package(name: "cordwood", path: ".."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.6.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CBenchmarkBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .target(
            name: "CBenchmarkSystem",
            cSettings: [.treatAllWarnings(as: .error), .enableWarning("all")]),
        .target(
            name: "CBenchmarkLimits",
            cSettings: [.treatAllWarnings(as: .error), .enableWarning("all")]),
        .executableTarget(
            name: "CordwoodBench",
            dependencies: [
                "CBenchmarkBLAS", "CBenchmarkLimits", "CBenchmarkSystem",
                .product(name: "Cordwood", package: "cordwood"),
                .product(name: "CordwoodLog", package: "cordwood"),
                .product(name: "CordwoodVectors", package: "cordwood"),
                .product(name: "CordwoodCache", package: "cordwood"),
                .product(name: "CordwoodCausality", package: "cordwood"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "CordwoodBenchTests",
            dependencies: [
                "CordwoodBench", .product(name: "CordwoodVectors", package: "cordwood"),
            ],
            swiftSettings: strict),
    ]
)
