import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes
import Testing

@testable import Operator

/// Candidates with FlexStart: what is asked for, and what is made of the answer.
@Suite struct FlexStartTests {
    private static let pool = poolName("flex", "us-central1-a")

    private func job(_ change: (inout TrainingJob.Spec) -> Void = { _ in }) -> TrainingJob {
        trainingJob { spec in
            spec.capacity = .init(candidates: [
                .init(name: "flex", provisioningModel: .flexStart, zones: ["us-central1-a"], maxWaitSeconds: 600)
            ])
            change(&spec)
        }
    }

    /// Its pool is there, empty.
    private func waiting(
        _ conditions: [Condition]? = [], nodes: Int = 0, seconds: Int = 60,
        _ change: (inout TrainingJob.Spec) -> Void = { _ in }
    ) -> TrainingJobObservation {
        var job = job(change)
        var status = status(run: run(job))
        status.preflight = [.init(name: "Kernels", result: "NotChecked")]
        var capacity = TrainingJob.CapacityStatus()
        capacity.current = "flex"
        capacity.zone = "us-central1-a"
        capacity.startTime = start
        capacity.attemptCount = 1
        status.capacity = capacity
        status.resources = [ledgerEntry(Self.pool, state: "RUNNING")]
        job.status = status
        var seen = observation(job, now: moment(seconds))
        var pool = nodePool(Self.pool, zone: "us-central1-a")
        pool.config?.spot = nil
        seen.pools = [pool]
        seen.operations = [operation("CREATE_NODE_POOL", on: Self.pool)]
        seen.nodes = (0..<nodes).map { node(Self.pool, index: $0) }
        if let conditions {
            seen.provisioningRequests[Self.pool] = ProvisioningRequest(
                metadata: ObjectMeta(name: Self.pool, namespace: "ml", uid: "request"),
                status: .init(conditions: conditions))
        }
        return seen
    }

    private func condition(_ type: String, _ status: Condition.Status = .true, _ message: String = "words") -> Condition
    {
        Condition(type: type, status: status, reason: type, message: message, lastTransitionTime: start)
    }

    private func request(_ change: (inout TrainingJob.Spec) -> Void = { _ in }) throws -> NodePool {
        let job = job(change)
        let options = try TrainingJobNodePool.options(for: run(job), RunSpec(job.spec), observation(job)).get()
        return TrainingJobNodePool.request(
            try #require(options.first), run: run(job), RunSpec(job.spec), observation(job))
    }

    @Test func `its pool is empty, scaled, queued and of at most seven days`() throws {
        let pool = try request { $0.trainer?.numNodes = 2 }
        #expect(pool.initialNodeCount == 0 && pool.queuedProvisioning?.enabled == true)
        #expect(
            pool.autoscaling
                == NodePoolAutoscaling(
                    enabled: true, totalMinNodeCount: 0, totalMaxNodeCount: 2, locationPolicy: "ANY"))
        #expect(pool.config?.flexStart == true && pool.config?.spot == nil)
        #expect(pool.config?.maxRunDuration == "604800s")
        #expect(pool.config?.reservationAffinity?.consumeReservationType == "NO_RESERVATION")
        #expect(try request { $0.runtimeLimitSeconds = 3600 }.config?.maxRunDuration == "4500s")
        let slice = try request { spec in
            spec.accelerator = .init(tpu: .init(type: "tpu-v6e-slice", topology: "4x4", slices: 1))
        }
        #expect(slice.initialNodeCount == 0 && slice.autoscaling?.maxNodeCount == 4)
        #expect(slice.placementPolicy?.tpuTopology == "4x4")
    }

    @Test func `machines are asked for with a request and a template of their pods, once`() throws {
        let plan = TrainingJobPlan.plan(waiting(nil))
        let manifests = plan.steps.compactMap { step -> Manifest? in
            if case .apply(let manifest) = step { manifest } else { nil }
        }
        #expect(manifests.map(\.type.kind) == ["PodTemplate", "ProvisioningRequest"])
        #expect(manifests.map(\.name) == [Self.pool, Self.pool])
        let pod = try #require(manifests.first?.body.value(at: ["template", "spec"]))
        #expect(pod.value(at: ["nodeSelector", "cloud.google.com/gke-nodepool"]) == .string(Self.pool))
        #expect(pod["tolerations"]?.arrayValue?.contains { $0["key"] == "cloud.google.com/gke-queued" } == true)
        #expect(pod["containers"]?[0]?.value(at: ["resources", "limits", "nvidia.com/gpu"]) == "1")
        #expect(
            manifests.last?.body["spec"] == [
                "provisioningClassName": "queued-provisioning.gke.io",
                "parameters": ["maxRunDurationSeconds": "604800"],
                "podSets": [["podTemplateRef": ["name": .string(Self.pool)], "count": 1]],
            ])
        #expect(TrainingJobPlan.plan(waiting([condition("Accepted")])).steps == [])
    }

    @Test func `what the autoscaler says is told while the run waits`() {
        func message(_ conditions: [Condition]) -> String? {
            TrainingJobPlan.plan(waiting(conditions)).status.conditions.first { $0.type == "Ready" }?.message
        }
        let place = "waiting for flex (g2-standard-4, us-central1-a)"
        #expect(message([]) == "\(place): queued")
        #expect(message([condition("Accepted", .true, "in the queue")]) == "\(place): queued: in the queue")
        #expect(
            message([condition("Accepted"), condition("Provisioned", .false, "none left")])
                == "\(place): queued: none left")
        #expect(message([condition("Provisioned")]) == place)
    }

    @Test(arguments: [
        ("Failed", "CapacityUnavailable"), ("BookingExpired", "BookingExpired"), ("CapacityRevoked", "CapacityRevoked"),
    ])
    func `a request that gives nothing ends the try`(type: String, reason: String) {
        let plan = TrainingJobPlan.plan(waiting([condition("Accepted"), condition(type)]))
        #expect(plan.status.capacity?.attempts.map(\.result) == [reason])
        #expect(plan.status.capacity?.current == nil && plan.status.lastFailure?.class == "Capacity")
        // With its machines there, a booking that has ended says nothing.
        let there = TrainingJobPlan.plan(waiting([condition(type)], nodes: 1))
        #expect(there.status.attempts.count == 1)
    }

    @Test func `the wait in the queue is bounded`() {
        #expect(TrainingJobPlan.plan(waiting([condition("Accepted")], seconds: 600)).status.capacity?.attempts == [])
        let late = TrainingJobPlan.plan(waiting([condition("Accepted")], seconds: 601))
        #expect(late.status.capacity?.attempts.map(\.result) == ["TimedOut"])
    }

    @Test func `with its pool goes the request, and before it the template`() throws {
        var seen = waiting([condition("Accepted")])
        seen.job.status?.capacity?.current = nil
        seen.job.status?.capacity?.zone = nil
        let steps = TrainingJobPlan.plan(seen).steps
        guard steps.count == 3, case .cloud(.deleteNodePool) = steps[0], case .delete(let template) = steps[1],
            case .delete(let request) = steps[2]
        else {
            Issue.record("\(steps)")
            return
        }
        #expect(template.type.kind == "PodTemplate" && request.type.kind == "ProvisioningRequest")
        // The pool is gone, the request is not: nothing else is tried before.
        seen.pools = []
        seen.job.status?.resources = []
        seen.operations = []
        #expect(TrainingJobPlan.plan(seen).steps.count == 2)
    }

    @Test func `its pods say which machines are theirs`() throws {
        var seen = waiting([condition("Provisioned")], nodes: 1)
        var attempt = TrainingJob.Attempt(number: 1)
        attempt.candidate = "flex"
        attempt.zone = "us-central1-a"
        func template() throws -> JSONValue {
            let spec = try #require(seen.runSpec)
            let run = try #require(seen.status.run)
            let slice = try #require(TrainingJobSlice.all(run, attempt, spec, seen).first)
            return try #require(TrainingJobPods.job(slice).body.value(at: ["spec", "template"]))
        }
        let key = "autoscaling.x-k8s.io/consume-provisioning-request"
        #expect(try template().value(at: ["metadata", "annotations", key]) == .string(Self.pool))
        seen.provisioningRequests = [:]
        #expect(try template().value(at: ["metadata", "annotations", key]) == nil)
    }

    @Test func `where nobody serves requests it is left out, and CPUs are not queued for`() {
        var seen = observation(job())
        seen.job.status = status(run: run(job()))
        seen.isProvisioningServed = false
        let ready = TrainingJobPlan.plan(seen).status.conditions.first { $0.type == "Ready" }
        #expect(ready?.reason == "CapacityUnavailable")
        #expect(ready?.message.contains("does not serve autoscaling.x-k8s.io/v1 ProvisioningRequest") == true)
        let cpu = job { $0.accelerator = nil }
        let verdict = TrainingJobNodePool.choices(for: run(cpu), RunSpec(cpu.spec), observation(cpu))
        #expect(
            verdict
                == .failure(
                    InvalidSpec(
                        "candidate flex: FlexStart is for machines with GPUs or TPUs; for CPUs use Standard or Spot")))
    }
}
