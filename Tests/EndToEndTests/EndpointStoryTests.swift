import Encoding
import Glibc
import HTTP
import Sandbox
import Synchronization
import Testing

/// From data to predictions: the example trains, publishes and serves; what follows it may not cost one request.
@Suite(.timeLimit(.minutes(5))) struct EndpointStoryTests {
    private static let name = "fashion-mnist"

    @Test func `what was trained answers, and neither bad versions nor a killed operator cost a request`() async throws
    {
        try await Story.run { story in
            let seed = try story.makeFolder("seed")
            try TinyDataset.write(to: seed)
            let example = try Example("train-and-serve", seed: seed, hyperparameters: ["epochs": "3"])
            try await story.apply(example)
            let first = try await wait(story, "the first version to serve") { $0.isServing }
            let url = try #require(first.value(at: ["status", "url"])?.stringValue)
            let active = try #require(first.activeRevision)
            let client = try PredictionClient(story, url: url, seed: seed)
            #expect(try await client.accuracy() >= 0.6)

            let answers = try await client.underLoad { load in
                try await brokenContainer(story, load, active)
                try await failedSmokeTest(story, load, active)
                let second = try await killedOperator(story, load, active)
                try await worseVersion(story, load, example, second)
            }
            #expect(answers.count > 100)
            #expect(answers.filter { $0 != 200 } == [])
            #expect(story.world.cloud.runTrafficViolations == [])
            await client.end()

            let path = Story.collection("ModelEndpoint") + "/" + Self.name
            #expect(try await story.call(.delete, path).status == 200)
            _ = try await wait(story, "its deletion") { $0["kind"]?.stringValue == "Status" }
            #expect(story.world.cloud.runServiceLines() == [])
            _ = try await story.end(of: example)
            #expect(story.world.computeResources() == [])
        }
    }

    // MARK: What happens to it

    private func brokenContainer(_ story: Story, _ load: PredictionClient.Load, _ active: String) async throws {
        try await patch(story, ["predictor": ["args": ["no-such-command"]]])
        let object = try await wait(story, "the end of a broken revision") { $0.readyReason == "RolledBack" }
        #expect(object.activeRevision == active)
        #expect(object.value(at: ["status", "rejectedModels"])?[0]?["reason"] == "RevisionFailed")
        try await load.more()
    }

    private func failedSmokeTest(_ story: Story, _ load: PredictionClient.Load, _ active: String) async throws {
        let impossible: JSONValue = [["name": "predict", "path": "/v2", "jsonPath": "{.nothing}"]]
        try await patch(
            story, ["predictor": ["args": nil, "concurrency": 7], "rollout": ["smokeTests": impossible]])
        let object = try await wait(story, "the end of a revision that answers wrongly") { object in
            object.readyReason == "RolledBack"
                && object.value(at: ["status", "rejectedModels"])?[0]?["reason"] == "SmokeTestFailed"
        }
        #expect(object.activeRevision == active)
        try await load.more()
    }

    /// A good revision takes over though the operator dies in the middle.
    private func killedOperator(
        _ story: Story, _ load: PredictionClient.Load, _ active: String
    ) async throws -> String {
        let smoke: JSONValue = [["name": "ready", "path": "/v2/health/ready"]]
        try await patch(story, ["predictor": ["concurrency": 9], "rollout": ["smokeTests": smoke]])
        _ = try await wait(story, "half of the requests") {
            $0.value(at: ["status", "candidate", "weight"]) == 50
        }
        story.killOperator()
        try await load.more()
        try story.startOperator()
        let object = try await wait(story, "the next revision to serve") { $0.isServing && $0.activeRevision != active }
        try await load.more()
        return try #require(object.activeRevision)
    }

    /// A version that has learnt nothing is published, and kept out.
    private func worseVersion(
        _ story: Story, _ load: PredictionClient.Load, _ example: Example, _ active: String
    ) async throws {
        try await story.patch(
            example,
            [
                "rerunToken": "worse",
                "trainer": ["hyperparameters": ["epochs": "1", "learningRate": "0.0000001"]],
            ])
        let object = try await wait(story, "the worse version to be refused", atMost: .seconds(120)) {
            $0.readyReason == "RequirementsNotMet"
        }
        #expect(object.activeRevision == active)
        #expect(object.condition("Available")?["status"] == "True")
        try await load.more()
    }

    // MARK: The object

    private func patch(_ story: Story, _ spec: JSONValue) async throws {
        let reply = try await story.call(
            .patch, Story.collection("ModelEndpoint") + "/" + Self.name, ["spec": spec])
        try #require(reply.status == 200, "\(reply.body.serializedText())")
    }

    private func wait(
        _ story: Story, _ what: String, atMost limit: Duration = .seconds(90),
        until isReached: (JSONValue) -> Bool
    ) async throws -> JSONValue {
        let deadline = ContinuousClock.now + limit
        while true {
            let object = try await story.call(.get, Story.collection("ModelEndpoint") + "/" + Self.name).body
            if isReached(object) { return object }
            guard ContinuousClock.now < deadline else {
                throw MissingPart(
                    """
                    \(what) does not come within \(limit)
                    status: \((object["status"] ?? .null).prettyPrinted())
                    services: \(story.world.cloud.runServiceLines())
                    folder: \(story.directory)
                    operator: \(FileText.tail(story.operatorLog(), lines: 30))
                    """)
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }
}

extension JSONValue {
    fileprivate var readyReason: String? { condition("Ready")?["reason"]?.stringValue }
    fileprivate var isServing: Bool { isTrue("Ready") && readyReason == "Serving" }
    fileprivate var activeRevision: String? { value(at: ["status", "active", "revision"])?.stringValue }
}

/// Sends the tiny data set's test images to an endpoint.
private final class PredictionClient: Sendable {
    /// The load while it runs.
    final class Load: Sendable {
        fileprivate let statuses = Mutex<[Int]>([])
        fileprivate let isEnding = Mutex(false)

        /// Waits for some more answers.
        func more() async throws {
            let count = statuses.withLock { $0.count }
            let deadline = ContinuousClock.now + .seconds(60)
            while statuses.withLock({ $0.count }) < count + 10, ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(10))
            }
        }
    }

    private let transport: CurlTransport
    private let url: String
    private let token: String
    private let images: [[UInt8]]

    init(_ story: Story, url: String, seed: String) throws {
        transport = try CurlTransport()
        self.url = url
        token = story.world.cloud.issueIdentityToken(
            to: "sandbox@\(Story.project).iam.gserviceaccount.com", audience: url)
        let file = try #require(FileBytes.read("\(seed)/t10k-images-idx3-ubyte"))
        let size = TinyDataset.side * TinyDataset.side
        images = stride(from: 16, to: file.count, by: size).map { Array(file[$0..<($0 + size)]) }
    }

    func end() async { await transport.shutDown() }

    private func predict(_ image: [UInt8]) async throws -> (status: Int, predicted: Int64?) {
        let body: JSONValue = ["instances": [["b64": .string(Base64.encode(image))]]]
        let response = try await transport.send(
            HTTPRequest(
                .post, try #require(HTTPURL("\(url)/predict")),
                headers: ["Content-Type": "application/json", "Authorization": "Bearer \(token)"],
                body: body.serialized()))
        let reply = try? JSONValue(parsing: response.body)
        return (response.status, reply?["predictions"]?[0]?["class"]?.integerValue)
    }

    /// Of all test images, whose labels follow one another.
    func accuracy() async throws -> Double {
        var right = 0
        for (index, image) in images.enumerated() {
            let answer = try await predict(image)
            try #require(answer.status == 200)
            if answer.predicted == Int64(index % 10) { right += 1 }
        }
        return Double(right) / Double(images.count)
    }

    /// Runs `body` while two clients predict without a pause.
    ///
    /// - Returns: the statuses of all answers.
    func underLoad(_ body: (Load) async throws -> Void) async throws -> [Int] {
        let load = Load()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for client in 0..<2 {
                group.addTask {
                    var number = client
                    while !load.isEnding.withLock({ $0 }) {
                        let status = try await self.predict(self.images[number % self.images.count]).status
                        load.statuses.withLock { $0.append(status) }
                        number += 1
                        // The machine has other things to do.
                        try await Task.sleep(for: .milliseconds(20))
                    }
                }
            }
            defer { load.isEnding.withLock { $0 = true } }
            try await body(load)
            load.isEnding.withLock { $0 = true }
            try await group.waitForAll()
        }
        return load.statuses.withLock { $0 }
    }
}
