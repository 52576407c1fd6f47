import Encoding
import Testing

@testable import TrainyardCommand

@Suite struct Reports {
    private static let metrics = TrainingMetrics(
        epoch: [1, 2], trainLoss: [0.4512, 0.3011], testLoss: [0.3312, 0.279], testAccuracy: [88.21, 90.02])

    private static var result: RunResult {
        let status: JSONValue = [
            "run": ["id": "fashion-mnist-1a2b3-r1"],
            "capacity": [
                "attempts": [
                    attempt("spot", "us-central1-a", "StockedOut", code: "GCE_STOCKOUT"),
                    attempt("spot", "us-central1-b", "Acquired"),
                ]
            ],
            "outputs": [
                "files": [
                    ["path": "metrics.json", "sizeBytes": 212, "crc32c": "yZRlqg==", "verified": true],
                    ["path": "model.safetensors", "sizeBytes": 4_800_512, "crc32c": "AAAAAA==", "verified": true],
                ]
            ],
            "cost": [
                "currencyCode": "USD", "accrued": "0.0051", "hourlyRate": "0", "basis": "list price 2026-08-03",
            ],
            "attempts": [
                ["number": 1, "cause": "Preempted", "fromStep": 0, "toStep": 1214],
                ["number": 2, "cause": "Succeeded", "fromStep": 1214, "toStep": 1876],
            ],
            "restarts": 1, "restartsCountTowardsMax": 0, "conditions": [condition("Ready", true, "Succeeded")],
        ]
        return RunResult(
            state: "Complete", runID: "fashion-mnist-1a2b3-r1", metrics: metrics, imagesPerSecond: 1012.37,
            job: job(status: status), cloudResourcesRemaining: 0, outputDirectory: "runs/fashion-mnist-1a2b3-r1")
    }

    @Test func `the summary is a table that ends with commands`() {
        let lines = Summary.lines(Self.result, elapsed: .seconds(128), commands: ["one", "two"])
        #expect(
            lines == [
                "          epoch   train loss    test loss     accuracy",
                "              1       0.4512       0.3312      88.21 %",
                "              2       0.3011       0.2790      90.02 %",
                "",
                "  run             fashion-mnist-1a2b3-r1",
                "  test accuracy   90.02 %",
                "  speed           1,012 training images/s on this machine's CPU",
                "  capacity        spot in us-central1-a stocked out, then spot in us-central1-b acquired",
                "  attempts        Preempted at step 1,214, then Succeeded at step 1,876",
                "  cost estimate   0.0051 USD (list price 2026-08-03 × seconds of the simulated machine)",
                "  cloud           0 cloud resources remain",
                "  took            2 min 8 s",
                "  outputs         runs/fashion-mnist-1a2b3-r1",
                "                  metrics.json              212 B  CRC32C yZRlqg== checked",
                "                  model.safetensors       4.6 MiB  CRC32C AAAAAA== checked",
                "                  curves.svg",
                "",
                "Next:",
                "  one",
                "  two",
            ])
    }

    @Test func `json has the documented keys`() throws {
        let expected = """
            {"attempts":[{"cause":"Preempted","fromStep":0,"number":1,"toStep":1214},{"cause":"Succeeded",\
            "fromStep":1214,"number":2,"toStep":1876}],"capacityAttempts":[{"candidate":"spot","code":"GCE_STOCKOUT","count":1,"message":null,\
            "result":"StockedOut","zone":"us-central1-a"},{"candidate":"spot","code":null,"count":1,"message":null,\
            "result":"Acquired","zone":"us-central1-b"}],"cloudResourcesRemaining":0,"cost":{"accrued":"0.0051",\
            "basis":"list price 2026-08-03","currencyCode":"USD","hourlyRate":"0"},"imagesPerSecond":1012.4,\
            "metrics":{"epoch":2,"test_accuracy":90.02,"test_loss":0.279,"train_loss":0.3011},\
            "outputDirectory":"runs/fashion-mnist-1a2b3-r1","outputs":[{"crc32c":"yZRlqg==","path":"metrics.json",\
            "sizeBytes":212,"verified":true},{"crc32c":"AAAAAA==","path":"model.safetensors","sizeBytes":4800512,\
            "verified":true}],"reason":"Succeeded","restarts":1,"restartsCountTowardsMax":0,"runID":"fashion-mnist-1a2b3-r1","state":"Complete"}
            """
        #expect(Self.result.json.serializedText() == expected)
    }

    @Test func `metrics json is read`() throws {
        let text = """
            {"epoch":[1,2],"train_loss":[0.4512,0.3011],"test_loss":[0.3312,0.279],"test_accuracy":[88.21,90.02]}
            """
        #expect(try TrainingMetrics(parsing: Array(text.utf8)) == Self.metrics)
    }

    @Test func `the speed of a run is all images by all seconds`() throws {
        let text = """
            {"epoch":[1,2],"train_loss":[1,1],"test_loss":[1,1],"test_accuracy":[1,1],"images_per_second":[500,1000]}
            """
        let rate = try #require(try TrainingMetrics(parsing: Array(text.utf8)).overallImagesPerSecond)
        #expect(abs(rate - 666.667) < 0.001)
        #expect(Self.metrics.overallImagesPerSecond == nil)
    }

    @Test(arguments: [
        ("{", "metrics.json is not JSON: expected a key in quotes (at byte 1)"),
        ("{}", "metrics.json has no array 'epoch'"),
        (
            #"{"epoch":[1],"train_loss":["x"]}"#,
            "the array 'train_loss' of metrics.json is empty or holds something else than numbers"
        ),
        (
            #"{"epoch":[1],"train_loss":[1],"test_loss":[1],"test_accuracy":[1,2]}"#,
            "the arrays of metrics.json have different lengths"
        ),
    ])
    func `wrong metrics are refused with a sentence`(_ text: String, _ message: String) {
        #expect(throws: RunError(.badData, message)) { try TrainingMetrics(parsing: Array(text.utf8)) }
    }

    @Test func `curves have an axis, a legend and a point per epoch`() {
        let svg = CurvesSVG(title: "a<b & \"c\"", subtitle: "s", metrics: Self.metrics).text()
        #expect(svg.contains("a&lt;b &amp; &quot;c&quot;"))
        #expect(svg.contains("\u{25CF} train 0.3011"))
        #expect(svg.contains("<title>epoch 2: test 90.02 %</title>"))
        #expect(svg.split(separator: "\n").filter { $0.contains("<circle") }.count == 6)
        #expect(svg.split(separator: "\n").filter { $0.contains("<polyline") }.count == 3)
    }

    @Test func `one epoch is a point in the middle`() {
        let metrics = TrainingMetrics(epoch: [1], trainLoss: [0], testLoss: [0], testAccuracy: [100])
        let svg = CurvesSVG(title: "t", subtitle: "s", metrics: metrics).text()
        #expect(!svg.contains("<polyline"))
        #expect(!svg.contains("nan") && !svg.contains("?"))
    }
}

@Suite struct Preflights {
    private static func machine(
        memory: UInt64? = 8 << 30, disk: UInt64? = 8 << 30, hasFeatures: Bool = true, seeds: [String] = [],
        programs: [String] = []
    ) -> Preflight {
        Preflight(
            availableMemoryBytes: memory, freeDiskBytes: disk, hasKernelFeatures: hasFeatures, diskPath: "/tmp",
            missingSeeds: seeds, missingPrograms: programs)
    }

    @Test(
        arguments: [
            ("nothing", machine(), nil, 0),
            (
                "program", machine(programs: ["/b/trainyard-operator"]),
                "/b/trainyard-operator is missing beside this program; build all of it with `swift build -c release`",
                70
            ),
            (
                "AVX2", machine(hasFeatures: false),
                "this CPU has no AVX2 and FMA, which the trainer's kernels need (amd64 machines since 2013 have them)",
                71
            ),
            (
                "memory", machine(memory: 900 << 20),
                "only 900.0 MiB of memory are free; a run needs 1 GB. Close something, or give the container more memory",
                71
            ),
            (
                "disk", machine(disk: 10),
                "only 10 B are free below /tmp; a run needs 512.0 MiB. Free some, or name another disk with --state-dir",
                74
            ),
            (
                "dataset", machine(seeds: ["/usr/share/datasets/fashion-mnist"]),
                "the dataset folder /usr/share/datasets/fashion-mnist is not there. Install it: "
                    + "apt-get install dataset-fashion-mnist", 66
            ),
            (
                "other data", machine(seeds: ["/data"]),
                "the dataset folder /data is not there. The annotation sandbox.trainyard.dev/seed of the GCSArtifact "
                    + "names it; correct the path", 66
            ),
            ("unknown", machine(memory: nil, disk: nil), nil, 0),
        ] as [(String, Preflight, String?, Int32)])
    func `stops before anything starts`(
        _ name: String, _ preflight: Preflight, _ message: String?, _ status: Int32
    ) {
        #expect(preflight.problem?.message == message)
        #expect(preflight.problem?.exitStatus ?? 0 == status)
    }

    @Test func `available memory is read`() {
        #expect(Preflight.memoryAvailable("MemTotal:  2 kB\nMemAvailable:     1024 kB\n") == 1 << 20)
        #expect(Preflight.memoryAvailable("MemTotal: 2 kB\n") == nil)
    }
}
