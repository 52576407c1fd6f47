import Encoding
import HTTP
import Sandbox
import Testing

/// Every example of a TrainingJob comes to its expected end: with the real operator, and with the real trainer where it
/// trains the published network. Each has a world of its own: a cluster makes one node pool at a time.
@Suite(.timeLimit(.minutes(5))) struct ExampleTests {
    /// Those that need nothing but machines.
    private static let plain = ["cpu", "failure-policy", "flex-start", "queue"]

    /// The others; each has a test of its own here.
    private static let special = [
        "fashion-mnist", "gpu-spot-fallback", "tpu-v6e-16", "plan", "gitops-rerun", "four-node", "spot-preemption",
        "suspend-resume", "budget",
        // Told by EndpointStoryTests.
        "train-and-serve",
    ]

    @Test func `every example has a story`() throws {
        #expect(try Example.names() == Set(Self.plain + Self.special))
    }

    /// Runs a story of an example.
    private func tell(
        _ name: String, hyperparameters: [String: String] = [:], prices: String? = nil,
        change: (inout Example) throws -> Void, _ body: (Story, Example) async throws -> Void
    ) async throws {
        try await Story.run(prices: prices) { story in
            let seed = try story.makeFolder("seed")
            try TinyDataset.write(to: seed)
            var example = try Example(name, seed: seed, hyperparameters: hyperparameters)
            try change(&example)
            try await story.apply(example)
            try await body(story, example)
            #expect(story.world.computeResources() == [])
        }
    }

    private func tell(
        _ name: String, hyperparameters: [String: String] = [:], _ body: (Story, Example) async throws -> Void
    ) async throws {
        try await tell(name, hyperparameters: hyperparameters, change: { _ in }, body)
    }

    /// What every good end has in common.
    private func check(_ job: JSONValue, _ example: Example, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(job.result == "Succeeded", "\(example.name): \(job["status"] ?? .null)", sourceLocation: sourceLocation)
        #expect(job.isTrue("OutputsVerified") && job.isTrue("Ready"), sourceLocation: sourceLocation)
    }

    @Test(arguments: plain) func `what needs nothing but machines trains`(name: String) async throws {
        try await tell(name) { story, example in
            let job = try await story.end(of: example)
            check(job, example)
            #expect(job.attemptEnds == [AttemptEnd(cause: "Succeeded", fromStep: 0, toStep: 20)])
        }
    }

    @Test func `a slice of four hosts trains with an image of its own`() async throws {
        try await tell(
            "tpu-v6e-16",
            change: { slice in
                // The simulated cluster has no machines in us-east5.
                slice = try slice.replacing("us-east5", with: "us-central1")
                slice.set(.string(Story.scriptedImage), at: ["trainer", "image"])
            },
            { story, example in
                let job = try await story.end(of: example)
                check(job, example)
                #expect(job.value(at: ["status", "nodes", "desired"]) == 4)
            })
    }

    @Test func `a plan makes nothing until it is let start`() async throws {
        try await tell("plan", hyperparameters: ["epochs": "1"]) { story, plan in
            let planned = try await story.waitForJob("a plan without problems", named: plan.jobName) { job in
                job.condition("Ready")?["reason"] == "Planned" && job.value(at: ["status", "plan"]) != nil
                    && job.value(at: ["status", "plan", "problems"])?.arrayValue ?? [] == []
            }
            #expect(planned.value(at: ["status", "run"]) == nil)
            #expect(story.traffic.poolChanges(.post).isEmpty)
            try await story.patch(plan, ["mode": "Apply"])
            check(try await story.end(of: plan), plan)
        }
    }

    /// Applied again: nothing. With another token: the next run.
    @Test func `a file from Git runs once, and again with another token`() async throws {
        try await tell("gitops-rerun") { story, example in
            let first = try await story.end(of: example)
            check(first, example)
            let again = try await story.call(
                .patch, Story.collection("TrainingJob") + "/" + example.jobName, example.jobDocument)
            #expect(again.body.value(at: ["metadata", "generation"]) == 1)
            try await story.patch(example, ["rerunToken": "again"])
            let second = try await story.waitForJob("run 2", named: example.jobName, atMost: .seconds(120)) { job in
                job.value(at: ["status", "run", "number"]) == 2 && job.isDone
            }
            check(second, example)
            let runs = second.value(at: ["status", "runs"])?.arrayValue?.map { $0["id"] }
            #expect(runs == [first.value(at: ["status", "run", "id"])])
            let same = try story.output("model.safetensors", of: second, example)
            #expect(try story.output("model.safetensors", of: first, example) == same, "the same spec, the same model")
        }
    }

    // MARK: Stockouts

    @Test(
        arguments: [
            ("fashion-mnist", ["spot us-central1-a StockedOut", "spot us-central1-b Acquired"]),
            (
                "gpu-spot-fallback",
                [
                    "spot-l4 us-central1-a StockedOut", "spot-l4 us-central1-b StockedOut",
                    "spot-t4 us-central1-a StockedOut", "on-demand us-central1-a Acquired",
                ]
            ),
        ] as [(String, [String])])
    func `stockouts lead to the next candidate`(name: String, places: [String]) async throws {
        try await tell(name, hyperparameters: ["epochs": "2"]) { story, example in
            let job = try await story.end(of: example)
            check(job, example)
            let attempts = job.value(at: ["status", "capacity", "attempts"])?.arrayValue ?? []
            let tried = attempts.map { attempt in
                ["candidate", "zone", "result"].map { attempt[$0]?.stringValue ?? "" }.joined(separator: " ")
            }
            #expect(tried == places)
            let why = attempts.first?["message"]?.stringValue ?? ""
            #expect(why.hasPrefix("The zone 'us-central1-a' does not have enough resources available"), "\(why)")
        }
    }

    // MARK: Interruptions

    /// Three epochs of 20 steps.
    private static let interrupted = ["epochs": "3", "seed": "7"]

    /// Model and metrics are those of a run that nobody disturbed.
    private func expectUndisturbed(_ job: JSONValue, _ example: Example, _ story: Story) async throws {
        let values = Example.small.merging(Self.interrupted, uniquingKeysWith: { $1 })
        let reference = try await Reference(in: story, hyperparameters: values)
        #expect(try story.output("model.safetensors", of: job, example) == reference.model)
        let metrics = try JSONValue(parsing: try story.output("metrics.json", of: job, example))
        for column in ["epoch", "train_loss", "test_loss", "test_accuracy"] {
            #expect(metrics[column] == reference.metrics[column], "\(column)")
        }
    }

    @Test func `machines reclaimed in the middle of an epoch, twice, change nothing`() async throws {
        try await tell(
            "spot-preemption", hyperparameters: Self.interrupted,
            change: { example in
                example.annotate("preempt-at-step", "30,50")
                example.play("pause-at-step=30;pause-at-step=50,attempt=2")
            },
            { story, example in
                let job = try await story.end(of: example)
                check(job, example)
                #expect(
                    job.attemptEnds == [
                        AttemptEnd(cause: "Preempted", fromStep: 0, toStep: 31),
                        AttemptEnd(cause: "Preempted", fromStep: 31, toStep: 51),
                        AttemptEnd(cause: "Succeeded", fromStep: 51, toStep: 60),
                    ])
                #expect(job.value(at: ["status", "restarts"]) == 2)
                #expect(job.value(at: ["status", "restartsCountTowardsMax"]) == 0)
                try await expectUndisturbed(job, example, story)
            })
    }

    @Test func `a suspended run goes on where it was`() async throws {
        try await tell(
            "suspend-resume", hyperparameters: Self.interrupted, change: { $0.play("pause-at-step=30") },
            { story, example in
                try await story.waitForJob("the middle of an epoch", named: example.jobName) { job in
                    job.value(at: ["status", "trainerStatus", "step"]) == 30
                }
                try await story.patch(example, ["suspend": true])
                try await story.waitForJob("suspended", named: example.jobName) { job in
                    job.isTrue("Suspended") && job.isTrue("ComputeReleased")
                }
                #expect(story.world.computeResources() == [])
                try await story.patch(example, ["suspend": false])
                let job = try await story.end(of: example)
                check(job, example)
                expectResumed(job, after: "Suspended")
                try await expectUndisturbed(job, example, story)
            })
    }

    /// At that price, twenty-five seconds are left of the dollar when the machine comes.
    @Test func `a run that its budget stopped goes on when the budget is raised`() async throws {
        let prices = #"{"date": "2026-11-01", "prices": [{"machineType": "g2-standard-4", "hourlyCost": "10.285"}]}"#
        try await tell(
            "budget", hyperparameters: Self.interrupted, prices: prices, change: { $0.play("pause-at-step=30") },
            { story, example in
                let stopped = try await story.waitForJob(
                    "the end of the budget", named: example.jobName, atMost: .seconds(120)
                ) { job in
                    job.isTrue("Suspended") && job.isTrue("ComputeReleased")
                }
                #expect(stopped.condition("Ready")?["reason"] == "BudgetExceeded")
                #expect(story.world.computeResources() == [])
                try await story.patch(example, ["budget": ["maxCost": "5.00"]])
                let job = try await story.end(of: example)
                check(job, example)
                expectResumed(job, after: "BudgetExceeded")
                try await expectUndisturbed(job, example, story)
            })
    }

    private func expectResumed(_ job: JSONValue, after cause: String, _ location: SourceLocation = #_sourceLocation) {
        #expect(
            job.attemptEnds == [
                AttemptEnd(cause: cause, fromStep: 0, toStep: 31),
                AttemptEnd(cause: "Succeeded", fromStep: 31, toStep: 60),
            ], sourceLocation: location)
        #expect(job.value(at: ["status", "run", "number"]) == 1, sourceLocation: location)
        #expect(
            job.value(at: ["status", "restartsCountTowardsMax"])?.integerValue ?? 0 == 0, sourceLocation: location)
    }

    /// The trainer lives and does nothing before step 30: found after the sixty seconds that are the least that may be
    /// asked for, and healed from the checkpoint of the first epoch's end.
    @Test func `a hang is found and healed`() async throws {
        try await tell(
            "budget", hyperparameters: Self.interrupted,
            change: { example in
                example.play("hang-at-step=30")
                example.set(60, at: ["progress", "stallDeadlineSeconds"])
                example.set(1, at: ["trainer", "terminationGracePeriodSeconds"])
            },
            { story, example in
                let job = try await story.end(of: example, atMost: .seconds(200))
                check(job, example)
                #expect(
                    job.attemptEnds == [
                        AttemptEnd(cause: "StepStalled", fromStep: 0, toStep: 30),
                        AttemptEnd(cause: "Succeeded", fromStep: 20, toStep: 60),
                    ])
                #expect(job.value(at: ["status", "restartsCountTowardsMax"]) == 1)
                let failure = job.value(at: ["status", "lastFailure", "message"])?.stringValue ?? ""
                #expect(failure.contains("step 30 of 60") && failure.contains("the log of"), "\(failure)")
                try await expectUndisturbed(job, example, story)
            })
    }

    // MARK: Several nodes

    @Test func `four nodes reach the loss of one process with four times the batch`() async throws {
        let values = ["epochs": "1", "seed": "7"]
        try await tell("four-node", hyperparameters: values) { story, example in
            let job = try await story.end(of: example)
            check(job, example)
            #expect(job.value(at: ["status", "nodes", "desired"]) == 4)
            let whole = Example.small.merging(values, uniquingKeysWith: { $1 }).merging(["batchSize": "64"]) { $1 }
            let one = try await Reference(in: story, hyperparameters: whole)
            let metrics = try JSONValue(parsing: try story.output("metrics.json", of: job, example))
            for column in ["train_loss", "test_loss"] {
                let four = try #require(metrics[column]?[0]?.doubleValue)
                let single = try #require(one.metrics[column]?[0]?.doubleValue)
                #expect(abs(four - single) < 1e-4, "\(column): \(four) and \(single)")
                #expect(four > 0.01, "there is something to compare")
            }
        }
    }
}
