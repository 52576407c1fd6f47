import Encoding
import Kubernetes
import Testing

@testable import Operator

/// The truth table: state × conditions.
@Suite struct TrainingJobStatusTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var situation: Situation
        var status: TrainingJob.Status
        /// `Type=Status/Reason`, sorted; absent conditions are not there.
        var conditions: [String]
        var testDescription: String { name }
    }

    private static let held = [ledgerEntry(poolName("spot", "us-central1-b"), state: "RUNNING")]

    private static func status(
        result: TrainingJob.RunResult? = nil, reason: Reason? = nil, resources: [CloudResource] = [],
        attempts: Int = 1, pending: Bool = false
    ) -> TrainingJob.Status {
        var status = OperatorTests.status()
        status.run?.result = result?.rawValue
        status.run?.reason = reason?.rawValue
        status.resources = resources
        status.capacity = TrainingJob.CapacityStatus()
        status.capacity?.attemptCount = attempts
        if pending { status.pendingRun = .init(generation: 2, specHash: "v1:sha256:00", requestTime: start) }
        return status
    }

    static let rows: [Row] = [
        Row(
            name: "waiting", situation: .waiting(.waitingForInputs, "m"), status: status(attempts: 0),
            conditions: [
                "CapacityAcquired=False/WaitingForInputs", "ComputeReleased=True/NothingCreated",
                "Ready=False/WaitingForInputs", "Reconciling=True/WaitingForInputs",
            ]),
        Row(
            name: "stocked out", situation: .provisioning(.stockedOut, "m"), status: status(resources: held),
            conditions: [
                "CapacityAcquired=False/StockedOut", "ComputeReleased=False/ComputeHeld", "Ready=False/StockedOut",
                "Reconciling=True/StockedOut",
            ]),
        Row(
            name: "training", situation: .training("m"), status: status(resources: held),
            conditions: [
                "CapacityAcquired=True/Acquired", "ComputeReleased=False/ComputeHeld", "Ready=False/Training",
                "Reconciling=True/Training",
            ]),
        Row(
            name: "recovering", situation: .recovering(.preempted, "m"), status: status(resources: held),
            conditions: [
                "CapacityAcquired=False/Preempted", "ComputeReleased=False/ComputeHeld", "Ready=False/Recovering",
                "Reconciling=True/Recovering",
            ]),
        Row(
            name: "verifying", situation: .verifying(.verifying, "m"), status: status(resources: held),
            conditions: [
                "CapacityAcquired=True/Acquired", "ComputeReleased=False/ComputeHeld",
                "OutputsVerified=False/Verifying", "Ready=False/Verifying", "Reconciling=True/Verifying",
            ]),
        Row(
            name: "succeeded, releasing", situation: .releasing("m"),
            status: status(result: .succeeded, reason: .succeeded, resources: held),
            conditions: [
                "Complete=True/Succeeded", "ComputeReleased=False/ReleasingCompute", "OutputsVerified=True/Succeeded",
                "Ready=False/ReleasingCompute", "Reconciling=True/ReleasingCompute",
            ]),
        Row(
            name: "complete", situation: .finished, status: status(result: .succeeded, reason: .succeeded),
            conditions: [
                "Complete=True/Succeeded", "ComputeReleased=True/Released", "OutputsVerified=True/Succeeded",
                "Ready=True/Succeeded",
            ]),
        Row(
            name: "failed, releasing", situation: .releasing("m"),
            status: status(result: .failed, reason: .assertionFailed, resources: held),
            conditions: [
                "ComputeReleased=False/ReleasingCompute", "Failed=True/AssertionFailed",
                "OutputsVerified=False/AssertionFailed", "Ready=False/AssertionFailed",
                "Reconciling=True/AssertionFailed",
            ]),
        Row(
            name: "failed", situation: .finished, status: status(result: .failed, reason: .containerFailed),
            conditions: [
                "ComputeReleased=True/Released", "Failed=True/ContainerFailed", "Ready=False/ContainerFailed",
                "Stalled=True/ContainerFailed",
            ]),
        Row(
            name: "release blocked", situation: .releaseBlocked(.nameConflict, "m"),
            status: status(result: .succeeded, reason: .succeeded, resources: held),
            conditions: [
                "Complete=True/Succeeded", "ComputeReleased=False/ReleasingCompute", "OutputsVerified=True/Succeeded",
                "Ready=False/NameConflict", "Stalled=True/NameConflict",
            ]),
        Row(
            name: "suspending", situation: .suspending("m"), status: status(resources: held),
            conditions: [
                "ComputeReleased=False/ReleasingCompute", "Ready=False/Suspending", "Reconciling=True/Suspending",
            ]),
        Row(
            name: "suspended", situation: .suspended, status: status(),
            conditions: ["ComputeReleased=True/Released", "Ready=True/Suspended", "Suspended=True/Suspended"]),
        Row(
            name: "suspended after an edit", situation: .suspended,
            status: status(result: .superseded, reason: .superseded),
            conditions: ["ComputeReleased=True/Released", "Ready=True/Suspended", "Suspended=True/Suspended"]),
        Row(
            name: "user must act before a run", situation: .actionRequired(.invalidSpec, "m"),
            status: status(attempts: 0),
            conditions: ["ComputeReleased=True/NothingCreated", "Ready=False/InvalidSpec", "Stalled=True/InvalidSpec"]),
        Row(
            name: "new run queued", situation: .training("m"), status: status(resources: held, pending: true),
            conditions: [
                "CapacityAcquired=True/Acquired", "ComputeReleased=False/ComputeHeld", "Ready=False/NewRunQueued",
                "Reconciling=True/NewRunQueued",
            ]),
        Row(
            name: "deleting", situation: .deleting("m"), status: status(resources: held),
            conditions: [
                "ComputeReleased=False/ReleasingCompute", "Ready=False/Deleting", "Reconciling=True/Deleting",
            ]),
    ]

    @Test(arguments: rows)
    func `conditions follow the truth table`(row: Row) {
        let conditions = TrainingJobConditions.conditions(
            for: row.situation, status: row.status, generation: 3, now: start)
        #expect(conditions.map { "\($0.type)=\($0.status.rawValue)/\($0.reason)" } == row.conditions)
        #expect(conditions.allSatisfy { $0.observedGeneration == 3 })
    }

    /// Flux's rules for honest status, on every row.
    @Test(arguments: rows)
    func `conditions never contradict each other`(row: Row) {
        let conditions = TrainingJobConditions.conditions(
            for: row.situation, status: row.status, generation: 3, now: start)
        func isTrue(_ type: String) -> Bool { conditions.contains { $0.type == type && $0.status == .true } }
        #expect(conditions.contains { $0.type == "Ready" })
        if isTrue("Ready") { #expect(!isTrue("Reconciling") && !isTrue("Stalled") && !isTrue("Failed")) }
        #expect(!(isTrue("Reconciling") && isTrue("Stalled")))
        #expect(isTrue("ComputeReleased") == row.status.resources.isEmpty)
        #expect(conditions.allSatisfy { !$0.reason.isEmpty && $0.type.first?.isUppercase == true })
    }

    @Test func `every reason is a valid condition reason`() {
        for reason in Reason.allCases {
            #expect(reason.rawValue.count <= 64)
            #expect(reason.rawValue.first?.isUppercase == true)
            #expect(reason.rawValue.allSatisfy { $0.isLetter || $0.isNumber })
            #expect((reason.hint?.count ?? 0) <= 256)
        }
    }
}
