import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Testing

@testable import ControllerRuntime
@testable import Operator

/// Which rule answers, and with what.
@Suite struct ModelEndpointPlanTests {
    private typealias Step = Plan<ModelEndpoint.Status, ModelEndpointAction>.Step

    private func plan(_ observation: ModelEndpointObservation) -> Plan<ModelEndpoint.Status, ModelEndpointAction> {
        ModelEndpointPlan.plan(observation)
    }

    private func ready(_ plan: Plan<ModelEndpoint.Status, ModelEndpointAction>) -> String {
        plan.status.conditions.filter { $0.status == .true || $0.type == "Ready" }
            .map { "\($0.type)=\($0.status.rawValue)/\($0.reason)" }.joined(separator: " ")
    }

    @Test func `the rules are asked in this order`() {
        #expect(
            ModelEndpointPlan.rules.names == [
                "deleting", "planning", "invalidSpec", "adopting", "nameConflict", "overBudget", "processors",
                "recordingIntent", "creating", "recovering", "starting", "updating", "suspended", "paused", "deploying",
                "becomingReady", "smokeTesting", "access", "shifting", "pruning",
            ])
    }

    @Test func `the intent and the candidate are written before the service is made`() throws {
        let first = plan(Endpoints.observation(Endpoints.endpoint()))
        #expect(first.steps == [])
        #expect(first.next == .after(.zero))
        #expect(first.status.candidate?.revision == Endpoints.revisionName(1))
        #expect(first.status.resources.map(\.state) == [CloudResource.intent])
        let second = plan(Endpoints.observation(Endpoints.endpoint(status: first.status)))
        guard case .cloud(.createService(let id, let configuration, let location, _))? = second.steps.first else {
            Issue.record("no create: \(second.steps)")
            return
        }
        #expect(id.count <= 49)
        #expect(location.location == "us-central1")
        #expect(configuration.template?.revision == Endpoints.revisionName(1))
        #expect(configuration.traffic == [RunTrafficTarget(type: .latest, percent: 100)])
        #expect(ready(second) == "Ready=False/CreatingService Reconciling=True/CreatingService")
    }

    @Test func `nothing is made for a version that does not meet its requirements`() {
        let endpoint = Endpoints.endpoint {
            $0.model.requirements = [.init(metric: "test_accuracy", operator: .greaterThan, value: "95")]
        }
        let plan = plan(Endpoints.observation(endpoint))
        #expect(plan.steps == [])
        #expect(plan.status.resources == [])
        #expect(ready(plan) == "Ready=False/RequirementsNotMet Stalled=True/RequirementsNotMet")
        #expect(plan.status.rejectedModels.map(\.version) == ["v1"])
        #expect(
            plan.status.conditions.first(ofType: "Ready")?.message.hasPrefix(
                "version v1 has test_accuracy 91.5; required is test_accuracy > 95") == true)
    }

    @Test func `a metric that was not recorded is not met`() {
        let endpoint = Endpoints.endpoint {
            $0.model.requirements = [.init(metric: "f1", operator: .lessThan, value: "1")]
        }
        #expect(ready(plan(Endpoints.observation(endpoint))).contains("RequirementsNotMet"))
    }

    @Test func `somebody else's service is not touched`() throws {
        let plain = Endpoints.observation(Endpoints.endpoint())
        var observation = plain
        observation.service = .found(
            try Endpoints.service(.init(), plain) { $0["labels"] = ["trainyard-owner-uid": "another"] })
        let plan = plan(observation)
        #expect(plan.steps == [])
        #expect(ready(plan) == "Ready=False/NameConflict Stalled=True/NameConflict")
    }

    @Test func `a revision that is not ready gets no weight, whatever the status says`() throws {
        var observation = try Endpoints.rolling(candidate: { $0.weight = 50 })
        observation.revisions[1] = try Endpoints.revision(
            2, Endpoints.model("v2"), state: "CONDITION_PENDING", of: observation)
        let traffic = ModelEndpointSettings.traffic(observation.status, observation)
        #expect(
            traffic == [RunTrafficTarget(type: .revision, revision: Endpoints.revisionName(1), percent: 100)])
    }

    @Test func `a candidate gets no weight before its smoke tests passed`() throws {
        var observation = try Endpoints.rolling()
        #expect(plan(observation).status.candidate?.weight == nil)
        #expect(ready(plan(observation)).contains("SmokeTesting"))
        observation.smokeTests = [.init(name: "ready", result: SmokeTests.passed)]
        let tested = plan(observation)
        #expect(tested.status.candidate?.smokeTested == true)
        #expect(tested.status.candidate?.weight == nil)
    }

    @Test func `a smoke test may fail twice, and not three times`() throws {
        var observation = try Endpoints.rolling()
        observation.smokeTests = [.init(name: "ready", result: SmokeTests.failed, message: "HTTP 500 and not 200")]
        for tries in 1...2 {
            let plan = plan(observation)
            #expect(plan.status.candidate?.failedTries == tries)
            observation.endpoint.status = plan.status
        }
        let last = plan(observation)
        #expect(last.status.candidate == nil)
        #expect(last.status.rejectedModels.map(\.reason) == ["SmokeTestFailed"])
        #expect(
            ready(last) == "Available=True/Serving Ready=False/RolledBack Stalled=True/RolledBack")
        // The same is not tried again.
        observation.endpoint.status = last.status
        observation.smokeTests = []
        observation.service = .found(try Endpoints.service(last.status, observation))
        let after = plan(observation)
        #expect(after.steps == [])
        #expect(after.status.candidate == nil)
        #expect(after.status == last.status || after.status.settingsHash != nil)
    }

    @Test func `a smoke test that failed is not asked again at once`() throws {
        var observation = try Endpoints.rolling()
        observation.smokeTests = [
            .init(name: "ready", result: SmokeTests.failed, message: "HTTP 503 and not 200", time: observation.now)
        ]
        let first = plan(observation)
        #expect(first.next == .after(observation.configuration.pollInterval))
        observation.endpoint.status = first.status
        // Something else woke the object: the same is said, and no try is lost.
        observation.smokeTests = []
        observation.now = observation.now + (observation.configuration.pollInterval - .seconds(1))
        #expect(ModelEndpointRollout.lastFailure(observation)?.name == "ready")
        #expect(plan(observation).status.candidate?.failedTries == 1)
        #expect(
            plan(observation).status.conditions.map(\.message) == first.status.conditions.map(\.message))
        observation.now = observation.now + .seconds(1)
        #expect(ModelEndpointRollout.lastFailure(observation) == nil)
    }

    @Test func `weights go up stage by stage, each for its time`() throws {
        var observation = try Endpoints.rolling(
            { $0.rollout = .standard },
            candidate: { $0.smokeTested = true })
        var weights: [Int] = []
        for _ in 0..<40 {
            let plan = plan(observation)
            observation.endpoint.status = plan.status
            if let weight = plan.status.candidate?.weight, weights.last != weight { weights.append(weight) }
            guard plan.status.candidate != nil else { break }
            // The cloud does what was asked.
            observation.service = .found(try Endpoints.service(plan.status, observation))
            if case .after(let pause) = plan.next { observation.now = observation.now + pause }
        }
        #expect(weights == [10, 50, 100])
        #expect(observation.status.active?.modelVersion == "v2")
        #expect(observation.now - Endpoints.now == .seconds(600))
    }

    @Test func `an analysis that fails takes all weight back`() throws {
        var observation = try Endpoints.rolling(
            {
                $0.rollout = .standard
                $0.rollout?.analysis = [
                    .init(
                        name: "errors", metric: .errorRatePercent, operator: .lessThan, value: "1", windowSeconds: 300,
                        minRequests: 20)
                ]
            },
            candidate: {
                $0.smokeTested = true
                $0.step = 0
                $0.weight = 10
                $0.stepStartTime = Endpoints.now
            })
        observation.measurements = [.init(name: "errors", value: 50, requestCount: 19)]
        #expect(plan(observation).status.candidate != nil)
        observation.measurements = [.init(name: "errors", value: 5, requestCount: 20)]
        let failed = plan(observation)
        #expect(failed.status.rejectedModels.first?.reason == "AnalysisFailed")
        #expect(failed.status.candidate == nil)
        observation.endpoint.status = failed.status
        guard
            case .cloud(.patchService(_, let configuration, let fields, let etag, _, _))? = plan(observation).steps
                .first
        else {
            Issue.record("no patch")
            return
        }
        #expect(fields == ["traffic"])
        #expect(etag == "e1")
        #expect(
            configuration.traffic
                == [RunTrafficTarget(type: .revision, revision: Endpoints.revisionName(1), percent: 100)])
    }

    @Test func `onFailure Pause leaves the weights and says why`() throws {
        var observation = try Endpoints.rolling(
            {
                $0.rollout = .standard
                $0.rollout?.onFailure = .pause
            },
            candidate: {
                $0.smokeTested = true
                $0.step = 0
                $0.weight = 10
                $0.stepStartTime = Endpoints.now
            })
        observation.changedVersions = ["v2"]
        let first = plan(observation)
        #expect(first.status.candidate?.failureReason == "ModelChanged")
        observation.endpoint.status = first.status
        let paused = plan(observation)
        #expect(paused.steps == [])
        #expect(ready(paused) == "Available=True/Serving Ready=False/ModelChanged Stalled=True/ModelChanged")
        observation.endpoint.spec.rollout?.onFailure = .rollback
        #expect(plan(observation).status.rejectedModels.first?.reason == "ModelChanged")
    }

    @Test func `a manual promotion waits for its annotation`() throws {
        var observation = try Endpoints.rolling(
            {
                $0.rollout = .standard
                $0.rollout?.strategy = .blueGreen
                $0.rollout?.promotion = .manual
            },
            candidate: { $0.smokeTested = true })
        #expect(ready(plan(observation)).contains("Ready=False/AwaitingPromotion"))
        observation.endpoint.metadata.annotations = [Ownership.promoteAnnotation: Endpoints.revisionName(2)]
        #expect(plan(observation).status.candidate?.weight == 100)
    }

    @Test func `suspended, no instance may run and the roll-out is given up`() throws {
        var observation = try Endpoints.rolling { $0.suspend = true }
        observation.service = .found(try Endpoints.service(observation.status, observation))
        let first = plan(observation)
        #expect(first.status.candidate == nil)
        observation.endpoint.status = first.status
        observation.service = .found(try Endpoints.service(first.status, observation))
        let second = plan(observation)
        #expect(second.steps == [])
        #expect(ready(second) == "Ready=True/Suspended")
        let wanted = ModelEndpointSettings.configuration(second.status, observation)
        #expect(wanted.scaling?.scalingMode == "MANUAL")
        #expect(wanted.scaling?.manualInstanceCount == 0)
    }

    @Test func `a steady endpoint writes nothing`() throws {
        var observation = try Endpoints.rolling()
        var status = observation.status
        status.active = ModelEndpointService.facts(of: observation.revisions[1])
        status.candidate = nil
        observation.endpoint.status = status
        observation.service = .found(try Endpoints.service(status, observation))
        let first = plan(observation)
        #expect(first.steps == [])
        #expect(ready(first) == "Available=True/Serving Ready=True/Serving")
        observation.endpoint.status = first.status
        observation.now = observation.now + .seconds(600)
        let second = plan(observation)
        var expected = first.status
        expected.conditions = second.status.conditions
        #expect(second.status == expected)
        #expect(second.next == .whenChanged)
    }

    @Test func `settings that somebody changed are told of or set again`() throws {
        var observation = try Endpoints.rolling()
        var status = observation.status
        status.active = ModelEndpointService.facts(of: observation.revisions[1])
        status.candidate = nil
        observation.endpoint.status = status
        observation.service = .found(try Endpoints.service(status, observation))
        observation.endpoint.status = plan(observation).status
        observation.service = .found(
            try Endpoints.service(observation.status, observation) { $0["ingress"] = "INGRESS_TRAFFIC_ALL" })
        let recorded = plan(observation)
        #expect(recorded.status.drift.map(\.action) == ["Correcting"])
        var reporting = observation
        reporting.endpoint.spec.driftPolicy = .report
        let told = plan(reporting)
        #expect(told.steps == [])
        #expect(told.status.drift.map(\.action) == ["Reported"])
        #expect(told.status.conditions.first(ofType: "SettingsApplied")?.status == .false)
        observation.endpoint.status = recorded.status
        guard case .cloud(.patchService(_, _, let fields, _, _, _))? = plan(observation).steps.first else {
            Issue.record("no patch")
            return
        }
        #expect(fields == ["ingress"])
    }

    @Test func `a setting that is not kept is set less and less often, and then told of`() throws {
        var observation = try Endpoints.rolling()
        var status = observation.status
        status.active = ModelEndpointService.facts(of: observation.revisions[1])
        status.candidate = nil
        status.observedGeneration = 3
        observation.endpoint.status = status
        // Whatever is set, the service answers with the same.
        observation.service = .found(
            try Endpoints.service(status, observation) { $0["ingress"] = "INGRESS_TRAFFIC_ALL" })
        var patches = 0
        for _ in 0..<100 {
            let plan = plan(observation)
            patches += plan.steps.count
            observation.endpoint.status = plan.status
            guard case .after(let pause) = plan.next else { break }
            observation.now = observation.now + pause
        }
        #expect((5...12).contains(patches))
        let refused = plan(observation)
        #expect(refused.steps == [])
        #expect(refused.next == .whenChanged)
        #expect(ready(refused) == "Available=True/Serving Ready=False/SettingRefused Stalled=True/SettingRefused")
        #expect(
            refused.status.conditions.first(ofType: "Ready")?.message.hasPrefix(
                "Cloud Run does not keep what is set: ingress was set to INGRESS_TRAFFIC_INTERNAL_ONLY and is "
                    + "INGRESS_TRAFFIC_ALL.") == true)

        // The weights are never given up.
        var wrong = observation
        wrong.service = .found(
            try Endpoints.service(status, observation) {
                $0["ingress"] = "INGRESS_TRAFFIC_ALL"
                $0["traffic"] = [["type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100]]
            })
        guard case .cloud(.patchService(_, _, let fields, _, _, _))? = plan(wrong).steps.first else {
            Issue.record("no patch")
            return
        }
        #expect(fields == ["traffic"])

        // Another description is tried anew; a service that follows after all is well.
        var edited = observation
        edited.endpoint.metadata.generation = 4
        #expect(plan(edited).steps.count == 1)
        observation.service = .found(try Endpoints.service(status, observation))
        #expect(ready(plan(observation)) == "Available=True/Serving Ready=True/Serving")
        #expect(plan(observation).status.updateStartTime == nil)
    }

    @Test func `old revisions go, those that serve stay`() throws {
        var observation = try Endpoints.rolling()
        var status = observation.status
        status.active = ModelEndpointService.facts(of: observation.revisions[1])
        status.lastGoodRevision = Endpoints.revisionName(2)
        status.candidate = nil
        observation.endpoint.status = status
        observation.endpoint.spec.rollout = .standard
        observation.endpoint.spec.rollout?.revisionHistoryLimit = 2
        observation.revisions.append(try Endpoints.revision(3, Endpoints.model("v1"), of: observation))
        observation.service = .found(try Endpoints.service(status, observation))
        let plan = plan(observation)
        guard case .cloud(.deleteRevision(let name, _, _, _, _))? = plan.steps.first else {
            Issue.record("nothing is deleted: \(plan)")
            return
        }
        #expect(name == Endpoints.revisionName(1))
    }

    @Test func `a service whose status was lost is known again`() throws {
        var observation = try Endpoints.rolling()
        let status = observation.status
        observation.endpoint.status = nil
        observation.model = .found(Endpoints.model("v1"))
        var first = status
        first.candidate = nil
        observation.service = .found(try Endpoints.service(first, observation))
        let plan = plan(observation)
        #expect(plan.status.active?.revision == Endpoints.revisionName(1))
        #expect(plan.status.active?.modelVersion == "v1")
        #expect(plan.steps == [])
    }
}
