import Testing

/// The checks of ``ArchitectureTests`` are only as good as what they parse: samples with known
/// answers, the forbidden ones among them.
@Suite struct ParserTests {
    @Test func findsImportsBehindAttributesAndModifiers() {
        let source = """
            // import Commented
            /* import Blocked /* import Nested */ import StillBlocked */
            import Plain
            public import Foundation
            @_exported public import Exported
            @testable import Tested
            @preconcurrency internal import struct Narrow.Thing
            @_spi(Inner) package import Spied; import Second
            let text = "\\"import Quoted"
            let long = #\"\"\"
            import InText
            \"\"\"#
            #if canImport(Glibc)
                import Glibc
            #endif
            let important = imports
            """
        #expect(
            SwiftImports.modules(in: source) == [
                "Plain", "Foundation", "Exported", "Tested", "Narrow", "Spied", "Second", "Glibc",
            ])
    }

    @Test(arguments: [
        ("CordwoodLog", "Foundation"), ("CordwoodVectors", "NIOCore"),
        ("CordwoodStorage", "CordwoodLog"), ("CordwoodLog", "CordwoodVectors"),
        ("CordwoodVectors", "CLiburing"), ("CordwoodSimulation", "CordwoodLog"),
        ("Cordwood", "ArgumentParser"), ("CordwoodCLI", "Foundation"),
        ("CordwoodStorage", "Dispatch"), ("CordwoodNovelty", "Glibc"),
    ])
    func refusesForbiddenArrows(target: String, module: String) {
        #expect(Arrows.problem(with: module, in: target) != nil)
    }

    @Test(arguments: [
        ("CordwoodLog", "CordwoodStorage"), ("CordwoodStorage", "Glibc"),
        ("Cordwood", "CordwoodVectors"), ("CordwoodCLI", "ArgumentParser"),
    ])
    func allowsListedArrows(target: String, module: String) {
        #expect(Arrows.problem(with: module, in: target) == nil)
    }

    @Test func readsTargetsOfAManifest() throws {
        let manifest = PackageManifest(
            source: """
                targets: [
                    .systemLibrary(name: "CSystem", providers: [.apt(["x-dev"])]),
                    .target(name: "Low", dependencies: ["CSystem"], swiftSettings: strict),
                    .executableTarget(
                        name: "High",
                        dependencies: [
                            "Low",
                            .product(
                                name: "Parser", package: "parser",
                                condition: .when(traits: ["Some"])),
                        ],
                        resources: [.copy("Resources")]),
                    .testTarget(name: "LowTests", dependencies: ["Low"], path: "Tests/Low"),
                ]
                """)
        #expect(manifest.targets.count == 4)
        #expect(try #require(manifest["Low"]).dependencies == ["CSystem"])
        #expect(manifest["LowTests"]?.path == "Tests/Low" && manifest["Low"]?.path == nil)
        #expect(try #require(manifest["High"]).dependencies == ["Low", "Parser"])
    }

    @Test func refusesHeadersOfOtherTargets() {
        let source = """
            #include <math.h>
            #  include "own.h"
            #include "../Other/include/other.h"
            #include <cordwood_checksum.h>
            """
        let problems = CIncludes.problems(
            in: source, at: "scan/avx2.c", ownFiles: ["scan/avx2.c", "include/own.h"])
        #expect(problems.count == 2)
        #expect(problems.allSatisfy { $0.contains("other.h") || $0.contains("checksum.h") })
    }
}
