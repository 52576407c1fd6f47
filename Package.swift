// swift-tools-version: 6.2
import PackageDescription

// Warnings are errors in CI and before a commit, not on a user's later toolchain.
let strict = Context.environment["TRAINYARD_STRICT"] != nil

let swiftSettings: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
    ] + (strict ? [.treatAllWarnings(as: .error)] : [])

// These are optimised in debug builds too: the tests run checksums and JSON over real data, and thousands of crash
// points through plans, the loop and the simulated world; unoptimised, those starve every test that has a timeout.
let optimisedSettings: [SwiftSetting] = swiftSettings + [.unsafeFlags(["-O"])]

// Kernels are optimised in debug builds too (tests train for real; unoptimised generic SIMD code is a hundred times
// slower) and, on amd64, compiled for x86-64-v3, the project's floor. -mavx2 is an error on arm64.
#if arch(x86_64)
    let kernelSettings: [SwiftSetting] =
        swiftSettings + [.unsafeFlags(["-Ounchecked", "-Xcc", "-mavx2", "-Xcc", "-mfma"])]
    // The same loops once more; CPUID decides at run time which are used.
    let wideKernelSettings: [SwiftSetting] =
        kernelSettings + [
            .unsafeFlags(["-Xcc", "-mavx512f", "-Xcc", "-mavx512bw", "-Xcc", "-mavx512dq", "-Xcc", "-mavx512vl"])
        ]
#else
    let kernelSettings: [SwiftSetting] = swiftSettings + [.unsafeFlags(["-Ounchecked"])]
    let wideKernelSettings = kernelSettings
#endif

func library(
    _ name: String, _ dependencies: [Target.Dependency] = [], exclude: [String] = [],
    settings: [SwiftSetting] = swiftSettings, links: [String] = []
) -> Target {
    .target(
        name: name, dependencies: dependencies, exclude: exclude, swiftSettings: settings,
        linkerSettings: links.map { .linkedLibrary($0) })
}

func command(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .executableTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: swiftSettings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: swiftSettings)
}

let package = Package(
    name: "trainyard",
    products: [
        .executable(name: "trainyard", targets: ["TrainyardCommand"]),
        .executable(name: "trainyard-operator", targets: ["OperatorCommand"]),
        .executable(name: "trainyard-trainer", targets: ["TrainerCommand"]),
    ],
    targets: [
        .systemLibrary(name: "CLibcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CLibyaml", providers: [.apt(["libyaml-dev"])]),
        .target(name: "CSystem"),
        // #embed of crds/ and charts/: the programs work outside the clone.
        .target(name: "CEmbedded"),

        library("System", ["CSystem"]),
        library("Encoding", settings: optimisedSettings, links: ["m"]),
        library("HTTP", ["CLibcurl", "Encoding", "System"]),
        library("YAML", ["CLibyaml", "Encoding"]),
        library("Telemetry", ["HTTP", "Encoding"]),
        library("Kubernetes", ["HTTP", "YAML", "Telemetry", "Encoding", "System"], settings: optimisedSettings),
        library("GoogleCloud", ["HTTP", "Telemetry", "Encoding", "System"]),
        library(
            "ControllerRuntime", ["Kubernetes", "HTTP", "Telemetry", "Encoding"],
            exclude: ["Documentation.docc"], settings: optimisedSettings),
        library("TrainingContract"),
        library(
            "Operator",
            [
                "ControllerRuntime", "Kubernetes", "GoogleCloud", "HTTP", "YAML", "Telemetry", "TrainingContract",
                "Encoding",
            ], settings: optimisedSettings),
        // Inner loops, always inlined; Kernels and KernelsAVX512 emit them for their instruction sets.
        library("KernelLoops", settings: kernelSettings),
        library("KernelsAVX512", ["KernelLoops"], settings: wideKernelSettings),
        library("Kernels", ["KernelLoops", "KernelsAVX512", "CSystem"], settings: kernelSettings),
        library("Training", ["Kernels", "TrainingContract", "Encoding", "YAML"], settings: optimisedSettings),
        library("Sandbox", ["HTTP", "YAML", "Telemetry", "Encoding", "System"], settings: optimisedSettings),

        command(
            "OperatorCommand",
            [
                "Operator", "ControllerRuntime", "Kubernetes", "GoogleCloud", "HTTP", "Telemetry", "Encoding",
                "System",
            ], exclude: ["Dockerfile", "libraries.txt"]),
        command(
            "TrainerCommand",
            [
                "Training", "Kernels", "TrainingContract", "GoogleCloud", "HTTP", "Telemetry", "Encoding", "CSystem",
                "System",
            ], exclude: ["Dockerfile", "libraries.txt"]),
        command(
            "TrainyardCommand",
            [
                "OperatorCommand", "TrainerCommand", "Sandbox", "Operator", "Kubernetes", "GoogleCloud", "HTTP",
                "YAML", "Telemetry", "TrainingContract", "Encoding", "CSystem", "System", "CEmbedded",
            ]),

        // Counts allocations of whatever links it.
        .target(name: "CAllocations"),
        command(
            "Benchmarks",
            [
                "OperatorCommand", "TrainerCommand", "Operator", "ControllerRuntime", "Kubernetes", "GoogleCloud",
                "Sandbox", "HTTP", "YAML", "Telemetry", "TrainingContract", "Encoding", "System", "CEmbedded",
                "CAllocations",
            ], exclude: ["peers"]),

        // What the tests' simulated clouds have in common.
        .target(
            name: "CloudChecks", dependencies: ["Sandbox"], path: "Tests/CloudChecks", swiftSettings: swiftSettings),
        // A container's place in the tests of the simulated Cloud Run.
        .executableTarget(
            name: "StandInServer", dependencies: ["HTTP", "System"], path: "Tests/StandInServer",
            swiftSettings: swiftSettings),
        tests("ArchitectureTests", []),
        tests("EncodingTests", ["Encoding"]),
        tests("HTTPTests", ["HTTP", "Encoding", "System"]),
        tests("YAMLTests", ["YAML", "Encoding"]),
        tests("TelemetryTests", ["Telemetry", "HTTP", "Encoding"]),
        tests("KubernetesTests", ["Kubernetes", "HTTP", "Telemetry", "Encoding", "System"]),
        tests(
            "GoogleCloudTests", ["GoogleCloud", "HTTP", "Telemetry", "Encoding", "Sandbox", "CloudChecks", "System"]),
        tests(
            "ControllerRuntimeTests",
            ["ControllerRuntime", "Kubernetes", "HTTP", "Telemetry", "Encoding", "Sandbox"], exclude: ["Golden"]),
        tests(
            "OperatorTests",
            [
                "Operator", "ControllerRuntime", "Kubernetes", "GoogleCloud", "HTTP", "YAML", "Telemetry",
                "TrainingContract", "Encoding", "System", "Sandbox", "CloudChecks",
            ], exclude: ["Golden"]),
        tests("KernelsTests", ["Kernels", "KernelLoops"]),
        tests("TrainingTests", ["Training", "Kernels", "TrainingContract", "Encoding"]),
        tests(
            "SandboxTests",
            ["Sandbox", "StandInServer", "CloudChecks", "HTTP", "YAML", "Telemetry", "Encoding"]),
        // One suite on the simulated cluster and on a real kube-apiserver; its goldens are the real one's replies.
        tests(
            "APIServerTests", ["OperatorCommand", "Sandbox", "CloudChecks", "HTTP", "YAML", "Telemetry", "Encoding"],
            exclude: ["Golden"]),
        tests(
            "TrainerCommandTests",
            [
                "TrainerCommand", "Training", "Kernels", "TrainingContract", "GoogleCloud", "Sandbox", "CloudChecks",
                "HTTP", "Telemetry", "Encoding", "System",
            ]),
        tests(
            "OperatorCommandTests",
            [
                "OperatorCommand", "Operator", "Kubernetes", "GoogleCloud", "HTTP", "YAML", "Telemetry", "Encoding",
                "System", "Sandbox",
            ]),
        tests("BenchmarksTests", ["Benchmarks", "OperatorCommand", "Encoding", "System"]),
        tests(
            "TrainyardCommandTests",
            [
                "TrainyardCommand", "Operator", "Kubernetes", "Sandbox", "HTTP", "YAML", "Telemetry", "Encoding",
                "System",
            ]),
        tests(
            "EndToEndTests",
            [
                "OperatorCommand", "TrainerCommand", "TrainyardCommand", "Sandbox", "CloudChecks", "Kubernetes", "HTTP",
                "YAML", "Telemetry", "Encoding", "System",
            ], exclude: ["verify_model.py"]),
    ],
    cLanguageStandard: .gnu2x
)
