// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target is built with the same rules; `docs/architecture.md` gives the reasons.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

let warnings: [CSetting] = [.treatAllWarnings(as: .error), .enableWarning("all")]

let package = Package(
    name: "cordwood",
    products: [
        .library(name: "Cordwood", targets: ["Cordwood"]),
        .library(name: "CordwoodLog", targets: ["CordwoodLog"]),
        .library(name: "CordwoodVectors", targets: ["CordwoodVectors"]),
        .library(name: "CordwoodCausality", targets: ["CordwoodCausality"]),
        .library(name: "CordwoodCache", targets: ["CordwoodCache"]),
        .library(name: "CordwoodSimulation", targets: ["CordwoodSimulation"]),
        .executable(name: "cordwood", targets: ["CordwoodCLI"]),
    ],
    traits: [
        .trait(
            name: "CommandLine",
            description: "The `cordwood` command. Servers that embed the library turn it off."),
        .trait(
            name: "Observability",
            description: "Reports to swift-log and swift-metrics."),
        .default(enabledTraits: ["CommandLine", "Observability"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.5.0"),
    ],
    targets: [
        // C: loops over bytes and numbers, nothing else.
        .systemLibrary(
            name: "CLiburing", path: "CKernels/CLiburing", pkgConfig: "liburing",
            providers: [.apt(["liburing-dev"])]),
        .systemLibrary(
            name: "COpenBLAS", path: "CKernels/COpenBLAS", pkgConfig: "openblas",
            providers: [.apt(["libopenblas-dev"])]),
        .systemLibrary(
            name: "CZlib", path: "CKernels/CZlib", pkgConfig: "zlib",
            providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(
            name: "CSnappy", path: "CKernels/CSnappy", providers: [.apt(["libsnappy-dev"])]),
        .systemLibrary(
            name: "CLZ4", path: "CKernels/CLZ4", pkgConfig: "liblz4",
            providers: [.apt(["liblz4-dev"])]),
        .systemLibrary(
            name: "CZstd", path: "CKernels/CZstd", pkgConfig: "libzstd",
            providers: [.apt(["libzstd-dev"])]),
        .target(
            name: "CCordwoodChecksum", path: "CKernels/CCordwoodChecksum", cSettings: warnings),
        .target(name: "CCordwoodMaps", path: "CKernels/CCordwoodMaps", cSettings: warnings),
        .target(name: "CCordwoodKernels", path: "CKernels/CCordwoodKernels", cSettings: warnings),

        // Swift: decisions.
        .target(
            name: "CordwoodStorage", dependencies: ["CLiburing", "CCordwoodMaps"],
            swiftSettings: strict),
        .target(
            name: "CordwoodSimulation", dependencies: ["CordwoodStorage"], swiftSettings: strict),
        .target(
            name: "CordwoodLog",
            dependencies: [
                "CordwoodStorage", "CCordwoodChecksum", "CZlib", "CSnappy", "CLZ4", "CZstd",
            ],
            swiftSettings: strict),
        .target(
            name: "CordwoodVectors",
            dependencies: [
                "CordwoodStorage", "CCordwoodChecksum", "CCordwoodKernels", "COpenBLAS",
            ],
            swiftSettings: strict),
        .target(name: "CordwoodCausality", swiftSettings: strict),
        .target(name: "CordwoodCache", swiftSettings: strict),
        .target(
            name: "Cordwood",
            dependencies: [
                "CordwoodStorage", "CordwoodLog", "CordwoodVectors", "CordwoodCache",
                "CordwoodCausality",
                .product(
                    name: "Logging", package: "swift-log",
                    condition: .when(traits: ["Observability"])),
                .product(
                    name: "CoreMetrics", package: "swift-metrics",
                    condition: .when(traits: ["Observability"])),
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "CordwoodCLI",
            dependencies: [
                "Cordwood",
                .product(
                    name: "ArgumentParser", package: "swift-argument-parser",
                    condition: .when(traits: ["CommandLine"])),
            ],
            resources: [.copy("Resources")], swiftSettings: strict),

        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: strict),
        .target(
            name: "FaultWorkloads", dependencies: ["Cordwood", "CordwoodSimulation"],
            path: "Tests/FaultWorkloads", swiftSettings: strict),
        .executableTarget(
            name: "cordwood-workload",
            dependencies: ["Cordwood", "CordwoodSimulation", "FaultWorkloads"],
            path: "Tests/CordwoodWorkload", swiftSettings: strict),
        .testTarget(
            name: "CordwoodStorageTests", dependencies: ["CordwoodStorage", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "CordwoodSimulationTests",
            dependencies: ["CordwoodSimulation", "CordwoodStorage"], swiftSettings: strict),
        .testTarget(
            name: "CordwoodLogTests",
            dependencies: [
                "CordwoodLog", "CordwoodSimulation", "CordwoodStorage", "CCordwoodChecksum", "CLZ4",
                "CZstd", "TestSupport",
            ], exclude: ["Fixtures"], swiftSettings: strict),
        .testTarget(
            name: "CordwoodVectorsTests",
            dependencies: [
                "CordwoodVectors", "CordwoodSimulation", "CordwoodStorage", "CCordwoodChecksum",
                "CCordwoodKernels", "TestSupport",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "CordwoodCausalityTests", dependencies: ["CordwoodCausality", "TestSupport"],
            exclude: ["Golden"], swiftSettings: strict),
        .testTarget(
            name: "CordwoodCacheTests", dependencies: ["CordwoodCache", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "CordwoodTests",
            dependencies: [
                "Cordwood", "CordwoodCache", "CordwoodCausality", "CordwoodSimulation",
                "CordwoodStorage",
                "CCordwoodChecksum", "TestSupport",
                .product(
                    name: "Logging", package: "swift-log",
                    condition: .when(traits: ["Observability"])),
                .product(
                    name: "MetricsTestKit", package: "swift-metrics",
                    condition: .when(traits: ["Observability"])),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "CordwoodCLITests", dependencies: ["Cordwood", "CordwoodCLI", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "CordwoodFaultTests",
            dependencies: ["Cordwood", "CordwoodSimulation", "FaultWorkloads"],
            swiftSettings: strict),
        .testTarget(name: "ArchitectureTests", swiftSettings: strict),
    ]
)

// What reads bytes: fed with random ones by libFuzzer, which has the only `main` (`make fuzz` sets this),
// and else with the inputs that are kept.
let fuzzed: [Target.Dependency] = [
    "CCordwoodChecksum", "Cordwood", "CordwoodCausality", "CordwoodLog", "CordwoodStorage",
    "CordwoodVectors", "CordwoodSimulation", "TestSupport",
]
if Context.environment["CORDWOOD_FUZZING"] != nil {
    package.targets.append(
        .executableTarget(
            name: "cordwood-fuzz", dependencies: fuzzed, path: "Tests/CordwoodFuzzTests",
            exclude: ["corpus", "CorpusTests.swift"], swiftSettings: strict))
} else {
    package.targets.append(
        .testTarget(
            name: "CordwoodFuzzTests", dependencies: fuzzed, exclude: ["corpus"],
            swiftSettings: strict))
}
