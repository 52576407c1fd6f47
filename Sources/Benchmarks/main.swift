import Glibc

/// Measures what the README publishes.
let usage = """
    usage: Benchmarks kubernetes [--json] [--only NAME]… [--objects N] [--kubeconfig FILE]
           Benchmarks googlecloud [--json] [--objects N] [--latency-milliseconds N] [--in-flight N]
                                  [--discovery FOLDER]
           Benchmarks compare --kubeconfig FILE [--informer PROGRAM] [--kopf PROGRAM --handlers FILE]
                              [--objects N] [--rounds N] [--patches N] [--bare]
           Benchmarks serving [--json] [--peer-python PATH] [--connections N] [--seconds S]
           Benchmarks training [--json] [--data DIR] [--peer-python PATH] [--rounds N] [--seeds N] [--epochs N]
           Benchmarks training --processes 1,2,4 [--json] [--data DIR]
           Benchmarks transfer [--json] [--objects N] [--megabytes N] [--parallel N]

      kubernetes
      NAME: footprint, noop, latency, first-action, idle, failover, decode
      --objects N         instead of 10,000
      --kubeconfig FILE   those that make sense against a real API server with our CRDs, in a namespace of their own

      googlecloud
      --objects is 2,000, --latency-milliseconds 200 and --in-flight 64 unless given
      --discovery FOLDER  Google's discovery documents, instead of the environment's TRAINYARD_DISCOVERY

      compare (Sources/Benchmarks/peers/run has all it needs)
      the operator, a client-go informer and kopf in turns on one API server, in a namespace of their own
      --objects is 10,000, --rounds 3 and --patches 2,000 unless given
      --bare              the definitions without schema and rules, whose evaluation is most of what a patch costs the server

      serving
      --peer-python PATH  a Python with torch, fastapi, uvicorn and safetensors; python3 unless given
      --connections is 16 and --seconds (of a round) 5 unless given

      training            ours and PyTorch by turns, batches of 64
      --data DIR          a dataset of the MNIST family; Debian's Fashion-MNIST where that is installed, else noise
      --peer-python PATH  a Python that has torch, python3 unless given; without torch ours alone is measured
      --rounds N          each trains 50 batches a round; 9 unless given
      --seeds N           whole trainings of --epochs (5) epochs for the accuracy; 3 unless given, 0 for none
      --processes 1,2,4   ours alone, a batch of 256 shared by so many processes

      transfer            --objects is 1,000 and --megabytes (MiB, of all of them) 2,048 unless given

    """

func say(_ text: String) {
    let bytes = Array((text + "\n").utf8)
    _ = write(STDERR_FILENO, bytes, bytes.count)
}

struct Selection {
    var isJSON = false
    var only: Set<String> = []
    var objectCount = 10_000
    var kubeconfig: String?

    static let names = ["footprint", "noop", "latency", "first-action", "idle", "failover", "decode"]

    init(_ arguments: some Collection<String>) throws {
        var flags = Flags(arguments)
        while let flag = flags.next() {
            switch flag {
            case "--json": isJSON = true
            case "--only":
                let name = try flags.value()
                guard Self.names.contains(name) else { throw BenchmarkError("unknown benchmark \(name)\n\(usage)") }
                only.insert(name)
            case "--objects": objectCount = try flags.number(1...1_000_000)
            case "--kubeconfig": kubeconfig = try flags.value()
            default: throw flags.unknown
            }
        }
    }

    /// Measures what was chosen; false when one of them could not be measured. The others are.
    func run(into results: inout Results) async -> Bool {
        if let kubeconfig {
            let cluster = RealCluster(kubeconfig: kubeconfig, objectCount: objectCount)
            return await attempt("a real API server") { try await cluster.run(into: &results) }
        }
        var isComplete = true
        for name in Self.names where only.isEmpty || only.contains(name) {
            if await !attempt(name, { try await measure(name, into: &results) }) { isComplete = false }
        }
        return isComplete
    }

    private func attempt(_ name: String, _ body: () async throws -> Void) async -> Bool {
        say("measuring \(name) …")
        do {
            try await body()
            return true
        } catch {
            say("Benchmarks: \(name): \(error)")
            return false
        }
    }

    private func measure(_ name: String, into results: inout Results) async throws {
        switch name {
        case "footprint": try await Footprint(objectCount: objectCount).run(into: &results)
        case "noop": try await NoopReconciles.run(objectCount: objectCount, into: &results)
        case "latency": try await EventLatency.run(objectCount: objectCount, into: &results)
        case "first-action": try await FirstAction.run(objectCount: objectCount, into: &results)
        case "idle": try await Idle.run(objectCount: objectCount, into: &results)
        case "failover": try await Failover().run(into: &results)
        default: try Decode.run(into: &results)
        }
    }
}

extension ArtifactLife {
    /// - Returns: the measurement, and whether its figures are written as JSON.
    static func parse(_ arguments: some Collection<String>) throws -> (ArtifactLife, isJSON: Bool) {
        var life = ArtifactLife()
        var isJSON = false
        life.discovery = getenv("TRAINYARD_DISCOVERY").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
        var flags = Flags(arguments)
        while let flag = flags.next() {
            switch flag {
            case "--json": isJSON = true
            case "--objects": life.objectCount = try flags.number(8...100_000)
            case "--latency-milliseconds": life.latency = .milliseconds(try flags.number(0...10_000))
            case "--in-flight": life.inFlight = try flags.number(1...256)
            case "--discovery": life.discovery = try flags.value()
            default: throw flags.unknown
            }
        }
        return (life, isJSON)
    }
}

do {
    let arguments = CommandLine.arguments.dropFirst()
    switch arguments.first {
    case "serve": try await ServerProcess.serve(Array(arguments.dropFirst()))
    case "transfer-server": try await TransferServer.serve(Array(arguments.dropFirst()))
    case "transfer": try await TransferSpeed(arguments.dropFirst()).run()
    case "training": try await TrainingThroughput(arguments.dropFirst()).run()
    case "serving": try await ServingComparison(arguments.dropFirst()).run()
    case "kubernetes":
        let selection = try Selection(arguments.dropFirst())
        var results = Results()
        let isComplete = await selection.run(into: &results)
        print(selection.isJSON ? results.json : results.table)
        if !isComplete { exit(1) }
    case "compare": print(try await Comparison(arguments.dropFirst()).run())
    case "googlecloud":
        let (life, isJSON) = try ArtifactLife.parse(arguments.dropFirst())
        var results = Results()
        try await life.run(into: &results)
        print(isJSON ? results.json : results.table)
        if isJSON { for remark in results.remarks { say(remark) } }
    default: throw BenchmarkError(usage)
    }
} catch {
    say("Benchmarks: \(error)")
    exit(1)
}
