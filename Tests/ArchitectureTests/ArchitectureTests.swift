import Testing

/// Holds the sources against the table of arrows.
@Suite struct ArchitectureTests {
    @Test(arguments: try ProjectTree.entries(of: "Sources"))
    func importsFollowTheArrows(target: String) throws {
        let manifest = PackageManifest(source: try ProjectTree.contents(of: "Package.swift"))
        let declared = try #require(
            manifest[target], "Sources/\(target) is no target of Package.swift")
        for file in try ProjectTree.files(below: "Sources/\(target)", suffixes: [".swift"]) {
            for module in SwiftImports.modules(in: try ProjectTree.contents(of: file)) {
                if let problem = Arrows.problem(with: module, in: target) {
                    Issue.record("\(file): \(problem)")
                }
                #expect(
                    Arrows.system.contains(module) || declared.dependencies.contains(module),
                    "\(file) imports \(module), which Package.swift does not declare")
            }
        }
    }

    @Test func manifestFollowsTheArrows() throws {
        let manifest = PackageManifest(source: try ProjectTree.contents(of: "Package.swift"))
        let targets = manifest.targets.filter { $0.kind.lowercased().hasSuffix("target") }
        #expect(targets.count > 6, "the manifest's targets were not found")
        for target in targets where target.kind != "testTarget" {
            // What tests share is theirs.
            if target.path?.hasPrefix("Tests/") == true { continue }
            guard Arrows.allowed[target.name] != nil else {
                #expect(
                    target.name.hasPrefix("C") && target.dependencies.isEmpty,
                    "\(target.name) is not in the table of arrows")
                continue
            }
            for dependency in target.dependencies {
                if let problem = Arrows.problem(with: dependency, in: target.name) {
                    Issue.record("Package.swift: \(problem)")
                }
            }
        }
    }

    @Test(arguments: try ProjectTree.entries(of: "CKernels"))
    func cTargetsIncludeOnlyTheirOwnHeaders(target: String) throws {
        let root = "CKernels/\(target)"
        let files = try ProjectTree.files(below: root, suffixes: [".c", ".h", ".inc"])
        let own = Set(files.map { String($0.dropFirst(root.count + 1)) })
        for file in own {
            let source = try ProjectTree.contents(of: "\(root)/\(file)")
            for problem in CIncludes.problems(in: source, at: file, ownFiles: own) {
                Issue.record("\(target): \(problem)")
            }
        }
    }

    @Test(arguments: [(["Sources"], ".swift", LineCaps.swift), (["CKernels"], ".c", LineCaps.c)])
    func filesStayShort(folders: [String], suffix: String, cap: Int) throws {
        for folder in folders {
            for file in try ProjectTree.files(below: folder, suffixes: [suffix]) {
                let text = try ProjectTree.contents(of: file)
                let lines = text.split(separator: "\n", omittingEmptySubsequences: false).count - 1
                #expect(lines <= cap, "\(file) has \(lines) lines; split it below \(cap)")
            }
        }
    }
}
