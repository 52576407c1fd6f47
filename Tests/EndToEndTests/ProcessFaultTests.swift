import Encoding
import Glibc
import HTTP
import Sandbox
import Testing

/// What only real processes can show: frozen, asked to stop, cut off, starved, aborted.
@Suite(.serialized, .timeLimit(.minutes(5))) struct ProcessFaultTests {
    private static let leadershipLost: Int32 = 75

    private func isPoolCreate(_ exchange: Traffic.Exchange) -> Bool { exchange.line == "POST nodePools" }

    private func checkEnd(_ story: Story, creates: Int = 1) {
        #expect(story.traffic.poolChanges(.post).count == creates)
        #expect(Set(story.traffic.poolChanges(.delete).map(\.line)).count == creates)
        #expect(story.world.computeResources() == [])
    }

    @Test func `a leader that was frozen is replaced, and changes nothing when it wakes`() async throws {
        try await Story.run { story in
            try await story.createArtifacts()
            try await story.waitForReadiness("the first operator") { isReady, _ in isReady }
            story.traffic.at(1, { isPoolCreate($0) }) { story.signalOperator(SIGSTOP) }
            try await story.create(Manifests.job())
            try await story.waitForJob("the freeze") { _ in story.traffic.hasFired }
            let before = story.traffic.changes(of: "a").count
            try story.startOperator("b")
            try await story.waitForJob("Complete and ComputeReleased") { $0.isDone }
            #expect(!story.traffic.changes(of: "b").isEmpty)
            story.signalOperator(SIGCONT)
            #expect(try await story.waitForExit(atMost: .seconds(60)) == Self.leadershipLost)
            #expect(story.traffic.changes(of: "a").count == before)
            checkEnd(story)
        }
    }

    @Test func `asked to stop with calls in flight, it finishes them and gives the lease back`() async throws {
        try await Story.run { story in
            try await story.createArtifacts()
            story.traffic.at(1, { isPoolCreate($0) }) {
                story.traffic.delayReplies(.seconds(1))
                story.signalOperator(SIGTERM)
            }
            try await story.create(Manifests.job())
            try await story.waitForEvent { story.traffic.hasFired }
            #expect(try await story.waitForExit(atMost: .seconds(60)) == 0)
            let leases =
                try await story.call(
                    .get, "/apis/coordination.k8s.io/v1/namespaces/trainyard-system/leases"
                ).body["items"]?.arrayValue ?? []
            #expect(leases.map { $0.value(at: ["spec", "holderIdentity"])?.stringValue ?? "" } == [""])
            let after = story.traffic.changes(of: "a").count
            story.traffic.delayReplies(.zero)
            try await Task.sleep(for: .milliseconds(500))
            #expect(story.traffic.changes(of: "a").count == after)
            let start = ContinuousClock.now
            try story.startOperator("b")
            try await story.waitForJob("the second operator's work") { _ in !story.traffic.changes(of: "b").isEmpty }
            #expect(ContinuousClock.now - start < .seconds(6))
            try await story.waitForJob("Complete and ComputeReleased") { $0.isDone }
            checkEnd(story)
        }
    }

    @Test func `an API server that is away for two seconds is waited for`() async throws {
        try await Story.run { story in
            try await story.createArtifacts()
            try await story.create(Manifests.job())
            try await story.waitForJob("a pool") { _ in !story.traffic.poolChanges(.post).isEmpty }
            story.traffic.setClusterAway(true)
            story.world.cluster.endWatches()
            try await Task.sleep(for: .seconds(2))
            story.traffic.setClusterAway(false)
            // The same process: one that ended fails the wait.
            try await story.waitForJob("Complete and ComputeReleased") { $0.isDone }
            checkEnd(story)
        }
    }

    @Test func `an API server that is away beyond the lease ends the leader, and the next one goes on`() async throws {
        try await Story.run { story in
            try await story.createArtifacts()
            try await story.create(Manifests.job())
            story.traffic.at(1, { isPoolCreate($0) }) {
                story.traffic.setClusterAway(true)
                story.world.cluster.endWatches()
            }
            try await story.waitForEvent { story.traffic.hasFired }
            let cut = ContinuousClock.now
            #expect(try await story.waitForExit(atMost: .seconds(60)) == Self.leadershipLost)
            // Renewed at most 2.5 s before the cut: 10 s of changes at Google, 15 s of life, from the last renewal on.
            #expect(ContinuousClock.now - cut < .seconds(17))
            let last = story.traffic.poolChanges(.post).map(\.time).max() ?? cut
            #expect(last - cut < .seconds(11), "a leader that cannot renew changes nothing at Google")
            story.traffic.setClusterAway(false)
            try story.startOperator()
            try await story.waitForJob("Complete and ComputeReleased") { $0.isDone }
            checkEnd(story)
        }
    }

    /// Streams that end, break in the middle of an event, say 410, repeat, mix and hold events; lists that have expired.
    @Test(arguments: [1, 2] as [UInt64]) func `watches and lists that break in every way change nothing`(
        seed: UInt64
    ) async throws {
        try await Story.run { story in
            var script = FaultScript(seed: seed)
            script.addRandom(
                [
                    .watch(.error(status: 410, after: 2)), .watch(.cut(afterBytes: 1500)), .watch(.duplicate(1...9)),
                    .watch(.reorder(within: .milliseconds(200))), .watch(.end(after: 3)),
                    .watch(.hold(after: 2, for: .seconds(1))),
                ], on: RequestMatch(side: .cluster, verb: "watch"), probability: 0.8)
            script.addRandom(
                [.fail(status: 410), .fail(status: 503), .loseReply()],
                on: RequestMatch(side: .cluster, verb: "list"), probability: 0.2, limit: 20)
            let injector = story.world.setFaults(script)
            story.world.cluster.endWatches()
            try await story.createArtifacts()
            try await story.create(Manifests.job())
            try await story.waitForJob("Complete and ComputeReleased") { $0.isDone }
            #expect((injector?.firedCount ?? 0) > 5)
            checkEnd(story)
        }
    }

    @Test func `sixty-four file descriptors are enough`() async throws {
        try await Story.run(startsOperator: false) { story in
            try story.startOperator(descriptorLimit: 64)
            try await story.createArtifacts()
            try await story.create(Manifests.job())
            try await story.waitForJob("Complete and ComputeReleased") { $0.isDone }
            checkEnd(story)
        }
    }

    @Test func `a process that was aborted is soon ready again, and goes on`() async throws {
        try await Story.run { story in
            try await story.createArtifacts()
            try await story.create(Manifests.job())
            try await story.waitForJob("training") { $0.value(at: ["status", "state"]) == "Training" }
            story.signalOperator(SIGABRT)
            #expect(try await story.waitForExit(atMost: .seconds(60)) == 128 + SIGABRT)
            unlink(story.operatorLog())
            let start = ContinuousClock.now
            try story.startOperator()
            try await story.waitForReadiness("ready again") { isReady, _ in isReady }
            #expect(ContinuousClock.now - start < .seconds(30))
            try await story.waitForJob("Complete and ComputeReleased") { $0.isDone }
            checkEnd(story)
        }
    }

    @Test func `without its kinds it says so and waits, and needs no restart when they come`() async throws {
        try await Story.run(hasKinds: false) { story in
            try await story.waitForReadiness("the missing kinds") { isReady, text in
                !isReady && text.contains("trainingjobs.trainyard.dev") && text.contains("gcsartifacts.trainyard.dev")
            }
            for definition in try Story.definitions() {
                let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
                #expect(try await story.call(.post, path, definition).status == 201)
            }
            try await story.waitForReadiness("ready", atMost: .seconds(40)) { isReady, _ in isReady }
            try await story.createArtifacts()
            try await story.create(Manifests.job())
            try await story.waitForJob("Complete and ComputeReleased") { $0.isDone }
            checkEnd(story)
        }
    }
}
