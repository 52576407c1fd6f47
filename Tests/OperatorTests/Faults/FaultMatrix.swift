import Glibc
import HTTP
import Sandbox

/// Every request of a story's reference run times everything that can go wrong with it.
struct FaultMatrix: Sendable {
    /// One story, one request, one fault.
    struct Plan: Sendable, CustomStringConvertible {
        var workflow: Int
        var index: Int
        var fault: RequestFault
        var name: String
        var description: String { "\(name)/\(index)/\(fault)" }
    }

    /// How a story ended.
    struct Outcome: Sendable, Equatable {
        var end: [String] = []
        var creates: [String: Int] = [:]
        var deletes: [String: Int] = [:]
        var violations: [String] = []
        var requestCount = 0
        var firedLine: String?
        var statusWriteCount = 0
        /// The requests up to the story's end.
        var trace: [TracedRequest] = []

        /// Who begins with old lists may take an attempt's Job for running after it has ended, and delete it before its
        /// TTL does, or the other way round: nothing depends on it.
        var withoutEndedJobs: Self {
            var outcome = self
            outcome.end.removeAll { $0.hasPrefix("Job ") || $0.hasPrefix("Pod ") }
            outcome.deletes["jobs"] = nil
            return outcome
        }
    }

    /// What was done, for the line that is printed.
    struct Report: Sendable {
        var planCounts: [String: Int] = [:]
        var crashPointCount = 0
        var coveredCrashPoints = 0
        var requestCount = 0
        var statusWriteCount = 0
        var failures: [String] = []
        var planCount: Int { planCounts.values.reduce(0, +) }
    }

    var workflows: [Workflow]
    /// Of the plans that are no crashes, one in so many is run.
    var stride: Int
    /// Runs this plan only.
    var only: String?

    // MARK: Running

    func run() async throws -> Report {
        var report = Report()
        var references: [Outcome] = []
        for workflow in workflows {
            let outcome = try await Self.outcome(workflow)
            references.append(outcome)
            for violation in outcome.violations { report.failures.append("\(workflow)/reference: \(violation)") }
        }
        let plans = plans(references.map(\.trace))
        report.crashPointCount = plans.count { $0.fault.isCrash }
        let chosen = plans.enumerated().filter { isChosen($0.element, number: $0.offset) }.map(\.element)
        let results = await withTaskGroup(of: (Plan, Outcome).self) { group in
            var rest = chosen[...]
            for plan in rest.prefix(max(2, sysconf(Int32(_SC_NPROCESSORS_ONLN)))) {
                group.addTask { (plan, await self.tried(plan)) }
                rest = rest.dropFirst()
            }
            var results: [(Plan, Outcome)] = []
            var brokenCount = 0
            while let result = await group.next() {
                results.append(result)
                tell(result.0, result.1, references[result.0.workflow], number: results.count, of: chosen.count)
                if !result.1.violations.isEmpty { brokenCount += 1 }
                // What is broken everywhere need not be seen everywhere.
                guard brokenCount < 40, let plan = rest.popFirst() else { continue }
                group.addTask { (plan, await self.tried(plan)) }
            }
            return results
        }
        for (plan, outcome) in results {
            if only == plan.description { print(outcome.trace.map(\.line).joined(separator: "\n")) }
            report.planCounts[plan.fault.pattern, default: 0] += 1
            if plan.fault.isCrash, outcome.firedLine != nil { report.coveredCrashPoints += 1 }
            report.requestCount += outcome.requestCount
            report.statusWriteCount += outcome.statusWriteCount
            let reference = references[plan.workflow]
            for difference in Self.differences(outcome, reference, plan) {
                report.failures.append("\(plan) at \(reference.trace[plan.index].line): \(difference)")
            }
        }
        report.failures.sort()
        return report
    }

    /// A line for what went wrong, at once, and one now and then.
    private func tell(_ plan: Plan, _ outcome: Outcome, _ reference: Outcome, number: Int, of count: Int) {
        for difference in Self.differences(outcome, reference, plan) { print("fault matrix: \(plan): \(difference)") }
        if number.isMultiple(of: 250) { print("fault matrix: \(number) of \(count) plans") }
        fflush(nil)
    }

    private func isChosen(_ plan: Plan, number: Int) -> Bool {
        if let only { return plan.description == only || plan.name == only }
        return plan.fault.isCrash || stride < .max && (number &* 7919) % max(1, stride) == 0
    }

    private func tried(_ plan: Plan) async -> Outcome {
        do {
            var outcome = try await Self.outcome(workflows[plan.workflow]) { world in
                world.transport.plan(plan.fault, at: plan.index)
            }
            if only == nil { outcome.trace = [] }  // Thousands of them would fill the memory.
            return outcome
        } catch {
            var outcome = Outcome()
            outcome.violations = ["I5: \(error)"]
            return outcome
        }
    }

    /// Tells a story to its end and ten minutes beyond.
    static func outcome(
        _ workflow: Workflow, _ arm: (FaultWorld) -> Void = { _ in }
    ) async throws -> Outcome {
        let world = try await workflow.make()
        arm(world)
        var outcome = Outcome()
        do {
            try await workflow.story(world)
            try await Decoys.check(world)
        } catch let stuck as Stuck {
            world.oracle.violated("I5", stuck.description)
        }
        outcome.trace = world.transport.trace
        // What is still slow to end ends; then there is peace.
        _ = try await world.run(atMost: 130, until: { false })
        let changes = world.transport.changeCount
        _ = try await world.run(atMost: 600, until: { false })
        if world.transport.changeCount != changes {
            let lines = world.transport.trace.filter { $0.isChange && !$0.isEvent }.suffix(3).map(\.line)
            world.oracle.violated("I5", "no peace at the end: \(lines)")
        }
        try await world.oracle.checkLeaks()
        outcome.end = try await world.oracle.endState(buckets: workflow.buckets)
        outcome.creates = world.oracle.creates
        outcome.deletes = world.oracle.deletes
        outcome.violations = world.oracle.violations
        outcome.requestCount = world.transport.trace.count
        outcome.statusWriteCount = world.oracle.statusWriteCount
        outcome.firedLine = world.transport.fired?.line
        return outcome
    }

    // MARK: Judging

    private static func differences(_ outcome: Outcome, _ reference: Outcome, _ plan: Plan) -> [String] {
        guard let fired = outcome.firedLine else { return outcome.violations + ["the fault did not happen"] }
        let wanted = reference.trace[plan.index].line
        if fired != wanted, !(isBatched(fired) && isBatched(wanted)) {
            return ["not the same request: \(fired)"]
        }
        guard case .restartStale = plan.fault else { return differences(outcome, reference) }
        return differences(outcome.withoutEndedJobs, reference.withoutEndedJobs)
    }

    /// Objects are deleted and copied side by side, and so are a queued machine's two: which is first is chance.
    private static func isBatched(_ line: String) -> Bool {
        line.hasPrefix("DELETE /storage/v1/b/") && line.contains("/o/") || line.contains("/rewriteTo/")
            || line.contains("/podtemplates/") || line.contains("/provisioningrequests/")
    }

    /// I6, I7, I9; and whatever the oracle saw.
    static func differences(_ outcome: Outcome, _ reference: Outcome) -> [String] {
        var differences = outcome.violations
        if !differences.isEmpty { return differences }
        if outcome.end != reference.end {
            let missing = reference.end.filter { !outcome.end.contains($0) }
            let added = outcome.end.filter { !reference.end.contains($0) }
            differences.append("I6: not \(missing) but \(added)")
        }
        if outcome.creates != reference.creates {
            differences.append("I7: creates \(outcome.creates) instead of \(reference.creates)")
        }
        if outcome.deletes != reference.deletes {
            differences.append("I7: deletes \(outcome.deletes) instead of \(reference.deletes)")
        }
        if outcome.requestCount > 3 * reference.requestCount + 300 {
            differences.append("I9: \(outcome.requestCount) requests instead of \(reference.requestCount)")
        }
        return differences
    }

    // MARK: Plans

    /// Stories in the same setting are one story until their users do different things: there every request is a point of
    /// the first of them alone.
    private func plans(_ traces: [[TracedRequest]]) -> [Plan] {
        var known: Set<Int> = []
        return traces.enumerated().flatMap { workflow, trace in
            var past = Hasher()
            past.combine(workflows[workflow].setting)
            return trace.enumerated().flatMap { index, request -> [Plan] in
                past.combine(request)
                let now = past
                guard known.insert(now.finalize()).inserted else { return [] }
                return Self.faults(for: request).map {
                    Plan(workflow: workflow, index: index, fault: $0, name: workflows[workflow].name)
                }
            }
        }
    }

    private static func faults(for request: TracedRequest) -> [RequestFault] {
        // A read changes nothing: dying before it is sent is dying before its reply, and after it.
        let crashes: [RequestFault] =
            request.isChange ? [.crashBeforeSend, .crashBeforeReply, .crashAfterReply] : [.crashBeforeSend]
        var faults: [RequestFault] = crashes
        faults += [
            .loseRequest, .loseReply, .delay(seconds: 1),
            .delay(seconds: 120), .delay(seconds: 7200), .fail(status: 500), .fail(status: 503), .fail(status: 504),
            .fail(status: 429), .fail(status: 403), .holdWatches(seconds: 5), .holdWatches(seconds: 60), .repeatEvents,
        ]
        faults += (1...5).map { .restartStale(changes: $0) }
        if request.isChange {
            faults += [.duplicate, .fail(status: 409)]
            // Google's 400 and 422 say that the request is wrong: then the next candidate is right.
            // For a status it leads to the minimal status, by design another end.
            if request.side == .cluster, !request.path.hasSuffix("/status") { faults.append(.fail(status: 422)) }
        } else if request.side == .cluster {
            faults.append(.fail(status: 410))
        }
        return faults
    }
}
