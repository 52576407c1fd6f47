import Encoding
import GoogleCloud
import Kubernetes
import Testing

@testable import ControllerRuntime
@testable import Operator

/// What an endpoint costs, what stops it for that, and when more of it runs.
@Suite struct ModelEndpointMoneyTests {
    private typealias Outcome = Plan<ModelEndpoint.Status, ModelEndpointAction>

    private func plan(_ observation: ModelEndpointObservation) -> Outcome { ModelEndpointPlan.plan(observation) }

    private func ready(_ plan: Outcome) -> String {
        plan.status.conditions.filter { $0.status == .true || ["Ready", "WithinBudget"].contains($0.type) }
            .map { "\($0.type)=\($0.status.rawValue)/\($0.reason)" }.joined(separator: " ")
    }

    /// `v1` serves: an L4 with 4 CPUs and 16 GiB, $1.04652 an hour.
    private func serving(_ change: (inout ModelEndpoint.Spec) -> Void) throws -> ModelEndpointObservation {
        var observation = Endpoints.observation(
            Endpoints.endpoint { spec in
                var predictor = ModelEndpoint.Predictor()
                predictor.accelerator = .init(gpu: .init(type: .nvidiaL4, zonalRedundancy: false))
                spec.predictor = predictor
                change(&spec)
            })
        let revision = try Endpoints.revision(1, Endpoints.model("v1"), of: observation)
        observation.revisions = [revision]
        var status = ModelEndpoint.Status()
        status.active = ModelEndpointService.facts(of: revision)
        status.lastGoodRevision = revision.id
        observation.endpoint.status = status
        try follow(&observation)
        return observation
    }

    /// The cloud does what the status wants.
    private func follow(_ observation: inout ModelEndpointObservation) throws {
        observation.service = .found(try Endpoints.service(observation.status, observation))
    }

    /// Rounds at the times that plans ask for, with a cloud that follows, for as long as `until` says.
    private func live(_ observation: inout ModelEndpointObservation, until end: Timestamp) throws -> [Outcome] {
        var outcomes: [Outcome] = []
        for _ in 0..<2000 {
            let outcome = plan(observation)
            outcomes.append(outcome)
            observation.endpoint.status = outcome.status
            if outcome.steps.isEmpty == false { try follow(&observation) }
            let pause: Duration = if case .after(let pause) = outcome.next { pause } else { .seconds(600) }
            guard observation.now + pause <= end else { break }
            observation.now = observation.now + pause
        }
        return outcomes
    }

    @Test func `what runs also without requests is counted, written a few times an hour`() throws {
        var observation = try serving { $0.scaling.minReplicas = 2 }
        let outcomes = try live(&observation, until: Endpoints.now + .seconds(36_000))
        let cost = try #require(outcomes.last?.status.cost)
        #expect(cost.hourlyRate == "2.09304")
        #expect(cost.month == "2026-11")
        // Ten hours, of which the last quarter may not be written yet.
        let spent = try #require(cost.monthToDate.flatMap { Money(decimal: $0) })
        #expect(spent > Money(microdollars: 20_200_000) && spent <= Money(microdollars: 20_930_400))
        let writes = zip(outcomes, outcomes.dropFirst()).filter { $0.status.cost != $1.status.cost }.count
        #expect(writes <= 41)
    }

    @Test func `what costs nothing is written once`() throws {
        var observation = try serving { $0.scaling.minReplicas = 0 }
        let outcomes = try live(&observation, until: Endpoints.now + .seconds(7200))
        #expect(outcomes.last?.status.cost?.monthToDate == "0.00")
        #expect(Set(outcomes.dropFirst().map(\.status.cost?.updateTime)).count == 1)
    }

    @Test func `a budget that is used up stops all instances, and a higher one lets it go on`() throws {
        var observation = try serving {
            $0.scaling.minReplicas = 1
            $0.budget = .init(currencyCode: "USD", maxMonthlyCost: "2", onExceeded: .suspend)
        }
        #expect(ready(plan(observation)) == "Available=True/Serving Ready=True/Serving WithinBudget=True/WithinBudget")
        let outcomes = try live(&observation, until: Endpoints.now + .seconds(9000))
        let last = try #require(outcomes.last)
        #expect(last.status.cost?.limitReached == "2")
        #expect(last.status.state == "OverBudget")
        #expect(
            ready(last)
                == "Ready=False/BudgetExceeded Stalled=True/BudgetExceeded WithinBudget=False/BudgetExceeded")
        let spent = try #require(last.status.cost?.monthToDate.flatMap { Money(decimal: $0) })
        #expect(spent >= Money(microdollars: 2_000_000) && spent < Money(microdollars: 2_010_000))
        let stopped = ModelEndpointSettings.configuration(observation.status, observation).scaling
        #expect(stopped?.scalingMode == "MANUAL" && stopped?.manualInstanceCount == 0)
        #expect(outcomes.flatMap(\.events).filter { $0.reason == "BudgetExceeded" }.count == 1)

        var raised = observation
        raised.endpoint.spec.budget?.maxMonthlyCost = "3"
        _ = try live(&raised, until: raised.now + .seconds(120))
        #expect(raised.status.cost?.limitReached == nil)
        #expect(raised.status.state == "Serving")
        #expect(ModelEndpointSettings.configuration(raised.status, raised).scaling?.scalingMode == "AUTOMATIC")

        // The same limit in the next month is a new one.
        _ = try live(&observation, until: try #require(Timestamp("2026-12-01T00:10:00Z")))
        #expect(observation.status.cost?.month == "2026-12")
        #expect(observation.status.cost?.limitReached == nil)
        #expect(observation.status.state == "Serving")
    }

    @Test func `instances that requests started count as Cloud Monitoring measured them`() throws {
        var observation = try serving {
            $0.budget = .init(currencyCode: "USD", maxMonthlyCost: "100", onExceeded: .suspend)
        }
        observation.billing = .measured(.seconds(90 * 3600))
        _ = try live(&observation, until: observation.now)
        #expect(observation.status.cost?.monthToDate == "94.1868")
        observation.billing = .measured(.seconds(96 * 3600))
        observation.now = observation.now + .seconds(900)
        #expect(plan(observation).status.cost?.limitReached == "100")
    }

    @Test func `a cost that cannot be measured is said, and stops nothing`() throws {
        var observation = try serving {
            $0.budget = .init(currencyCode: "USD", maxMonthlyCost: "100", onExceeded: .suspend)
        }
        observation.billing = .unknown("forbidden")
        let outcome = plan(observation)
        #expect(
            ready(outcome) == "Available=True/Serving Ready=True/Serving WithinBudget=Unknown/CostNotMeasured")
        #expect(outcome.steps == [])
    }

    @Test func `a budget that only warns tells once and changes nothing`() throws {
        var observation = try serving {
            $0.scaling.minReplicas = 1
            $0.budget = .init(currencyCode: "USD", maxMonthlyCost: "1", onExceeded: .warn)
        }
        let outcomes = try live(&observation, until: Endpoints.now + .seconds(7200))
        #expect(ready(outcomes[outcomes.count - 1]).contains("Ready=True/Serving WithinBudget=False/BudgetExceeded"))
        #expect(outcomes.flatMap(\.steps) == [])
        #expect(outcomes.flatMap(\.events).map(\.reason) == ["BudgetExceeded"])
    }

    @Test func `budgets that cannot be kept are refused`() throws {
        let euros = try serving {
            $0.budget = .init(currencyCode: "EUR", maxMonthlyCost: "1", onExceeded: .warn)
        }
        #expect(plan(euros).status.conditions.first(ofType: "Ready")?.message.contains("prices in USD") == true)
        let unpriced = try serving {
            $0.predictor?.accelerator = .init(gpu: .init(type: .nvidiaRTXPro6000, zonalRedundancy: true))
            $0.predictor?.resources = .init(limits: .init(cpu: 20, memory: "80Gi"))
            $0.budget = .init(currencyCode: "USD", maxMonthlyCost: "1", onExceeded: .suspend)
        }
        #expect(ready(plan(unpriced)).contains("Ready=False/InvalidSpec"))
    }

    @Test func `a roll-out whose instances cost too much beside those that serve does not begin`() throws {
        var observation = try Endpoints.rolling {
            $0.rollout = .standard
            $0.rollout?.maxSurgeHourlyCost = "0.05"
        }
        observation.endpoint.status?.candidate = nil
        try follow(&observation)
        let waiting = plan(observation)
        #expect(waiting.status.candidate == nil)
        #expect(
            ready(waiting)
                == "Available=True/Serving Ready=False/SurgeTooExpensive Stalled=True/SurgeTooExpensive")
        observation.endpoint.spec.rollout?.maxSurgeHourlyCost = "0.10"
        #expect(plan(observation).status.candidate?.modelVersion == "v2")
        observation.endpoint.spec.scaling.minReplicas = 2
        try follow(&observation)
        #expect(ready(plan(observation)).contains("SurgeTooExpensive"))
    }

    // MARK: Warm windows

    private func window(
        _ schedule: String, hours: Int, _ count: Int, zone: String = "Etc/UTC"
    ) -> ModelEndpoint.WarmWindow {
        .init(name: "day", schedule: schedule, timeZone: zone, durationSeconds: hours * 3600, minReplicas: count)
    }

    @Test func `a window raises the minimum for its time, and wakes the operator when it begins and ends`() throws {
        // It is a Saturday, ten o'clock.
        var observation = try serving {
            $0.scaling.maxReplicas = 4
            $0.scaling.warmWindows = [window("0 8 * * sun", hours: 3, 3, zone: "Europe/Berlin")]
        }
        observation.zones["Europe/Berlin"] = ZoneRules(rule: "CET-1CEST,M3.5.0,M10.5.0/3")
        var changes: [String] = []
        var last = 0
        for _ in 0..<6 {
            let outcome = plan(observation)
            observation.endpoint.status = outcome.status
            try follow(&observation)
            let minimum =
                ModelEndpointSettings.configuration(outcome.status, observation).scaling?.minInstanceCount ?? 0
            if minimum != last {
                changes.append(
                    "\(observation.now) \(minimum) \(outcome.status.replicas ?? 0) \(outcome.events.map(\.reason))")
                last = minimum
            }
            guard case .after(let pause) = outcome.next else { break }
            observation.now = observation.now + pause
            guard observation.now < Endpoints.now + .seconds(172_800) else { break }
        }
        #expect(
            changes == [
                "2026-11-22T07:00:00Z 3 3 [\"WarmWindow\"]", "2026-11-22T10:00:00Z 0 0 [\"WarmWindow\"]",
            ])
    }

    @Test func `the widest of the open windows decides, and suspend over all`() throws {
        var observation = try serving {
            $0.scaling.minReplicas = 1
            $0.scaling.maxReplicas = 4
            $0.scaling.warmWindows = [
                .init(name: "a", schedule: "0 9 * * *", timeZone: "UTC", durationSeconds: 7200, minReplicas: 2),
                .init(name: "b", schedule: "0 10 * * *", timeZone: "UTC", durationSeconds: 600, minReplicas: 4),
                .init(name: "c", schedule: "0 0 * * *", timeZone: "UTC", durationSeconds: 86_000, minReplicas: 1),
            ]
        }
        #expect(plan(observation).status.warmWindow?.name == "b")
        observation.now = observation.now + .seconds(600)
        #expect(
            plan(observation).status.warmWindow
                == .init(
                    name: "a", minReplicas: 2, endTime: Timestamp("2026-11-21T11:00:00Z")))
        observation.endpoint.spec.suspend = true
        #expect(plan(observation).status.replicas == 0)
    }

    @Test(arguments: [
        ("0 25 * * *", "Etc/UTC", "hour \"25\" is not one of 0 to 23"),
        ("0 0 31 2 *", "Etc/UTC", "never comes"), ("0 0 * * *", "Europe/Atlantis", "there is no time zone"),
    ])
    func `a window that cannot be kept is refused`(schedule: String, zone: String, message: String) throws {
        let observation = try serving { $0.scaling.warmWindows = [window(schedule, hours: 1, 1, zone: zone)] }
        let condition = plan(observation).status.conditions.first(ofType: "Ready")
        #expect(condition?.reason == "InvalidSpec")
        #expect(condition?.message.contains(message) == true, "\(condition?.message ?? "")")
    }
}

/// `mode: Plan`, who may call, and secrets.
@Suite struct ModelEndpointModeTests {
    private func plan(_ observation: ModelEndpointObservation) -> Plan<ModelEndpoint.Status, ModelEndpointAction> {
        ModelEndpointPlan.plan(observation)
    }

    @Test func `a plan says what would be made and does nothing`() throws {
        let endpoint = Endpoints.endpoint {
            $0.mode = .plan
            $0.scaling.minReplicas = 1
            $0.access = .init(allowUnauthenticated: false, invokers: ["user:a@example.com"])
        }
        var observation = Endpoints.observation(endpoint)
        observation.configuration.accessMembers = ["ml": ["user:a@example.com"]]
        let first = plan(observation)
        let id = ModelEndpointService.id(observation)
        #expect(first.steps == [])
        #expect(first.status.resources == [])
        #expect(
            first.status.plan?.objects == [
                "Cloud Run service \(id) in us-central1",
                "a revision that serves version v1 with trainer:test",
                "roles/run.invoker on it for user:a@example.com",
            ])
        #expect(first.status.plan?.problems == [])
        #expect(first.status.plan?.hourlyCost == "0.0684")
        #expect(first.status.state == "Planned")
        #expect(first.status.conditions.first(ofType: "Ready")?.reason == "Planned")
        #expect(!ModelEndpointPlanMode.needsFinalizer(endpoint))
        // The same plan is no news.
        observation.endpoint.status = first.status
        observation.now = observation.now + .seconds(600)
        #expect(plan(observation).status.plan == first.status.plan)
        // Nothing of it is left afterwards.
        observation.endpoint.spec.mode = .apply
        #expect(plan(observation).status.plan == nil)
        #expect(plan(observation).status.candidate != nil)
    }

    @Test func `a plan of what serves says what would change, and touches nothing`() throws {
        var observation = try Endpoints.rolling { $0.mode = .plan }
        observation.endpoint.status?.candidate = nil
        observation.service = .found(
            try Endpoints.service(observation.status, observation) { $0["ingress"] = "INGRESS_TRAFFIC_ALL" })
        let outcome = plan(observation)
        #expect(outcome.steps == [])
        #expect(outcome.status.candidate == nil)
        #expect(
            outcome.status.plan?.objects.dropFirst() == [
                "its ingress becomes INGRESS_TRAFFIC_INTERNAL_ONLY; it is INGRESS_TRAFFIC_ALL",
                "a revision that serves version v2 with trainer:test",
            ])
        observation.endpoint.status = outcome.status
        #expect(ModelEndpointPlanMode.needsFinalizer(observation.endpoint))
    }

    @Test func `a plan names what stands in the way`() {
        let endpoint = Endpoints.endpoint {
            $0.mode = .plan
            $0.suspend = true
            $0.model.requirements = [.init(metric: "test_accuracy", operator: .greaterThan, value: "95")]
        }
        let problems = plan(Endpoints.observation(endpoint)).status.plan?.problems
        #expect(
            problems == [
                "version v1 has test_accuracy 91.5; required is test_accuracy > 95",
                "spec.suspend is true: nothing starts until it is false",
            ])
    }

    @Test func `everybody may call only where the operator says so`() throws {
        var observation = Endpoints.observation(
            Endpoints.endpoint { $0.access = .init(allowUnauthenticated: true) })
        let refused = plan(observation).status.conditions.first(ofType: "Ready")
        #expect(refused?.reason == "InvalidSpec")
        #expect(refused?.message.contains("--public-endpoints does not name the namespace ml") == true)
        observation.configuration.publicNamespaces = ["other"]
        #expect(plan(observation).status.conditions.first(ofType: "Ready")?.reason == "InvalidSpec")
        for allowed in ["ml", "*"] {
            observation.configuration.publicNamespaces = [allowed]
            #expect(plan(observation).status.conditions.first(ofType: "Ready")?.reason == "CreatingService")
        }
        #expect(ModelEndpointAccess.wanted(observation.spec) == ["allUsers"])
        // Among the invokers it is never taken.
        observation.endpoint.spec.access = .init(allowUnauthenticated: false, invokers: ["allUsers"])
        observation.configuration.accessMembers = ["*": ["allUsers"]]
        #expect(plan(observation).status.conditions.first(ofType: "Ready")?.reason == "InvalidSpec")
    }

    @Test func `a secret is handed to Cloud Run by name, and only with an account of the namespace`() throws {
        var observation = Endpoints.observation(
            Endpoints.endpoint {
                var predictor = ModelEndpoint.Predictor()
                predictor.env = [
                    .init(name: "TOKEN", valueFrom: .init(secretKeyRef: .init(name: "hub-token", key: "latest"))),
                    .init(name: "LEVEL", value: "1"),
                ]
                $0.predictor = predictor
            })
        let refused = plan(observation).status.conditions.first(ofType: "Ready")
        #expect(refused?.message.contains("secrets need predictor.googleServiceAccount") == true)
        let account = "app@sandbox-project.iam.gserviceaccount.com"
        observation.endpoint.spec.predictor?.googleServiceAccount = account
        observation.configuration.runtimeAccounts = ["ml": [account]]
        #expect(plan(observation).status.conditions.first(ofType: "Ready")?.reason == "CreatingService")
        let template = ModelEndpointService.template("r", observation, Endpoints.model())
        #expect(
            template.containers?.first?.env?.prefix(2) == [
                .init(name: "LEVEL", value: "1"), .init(name: "TOKEN", secret: "hub-token", version: "latest"),
            ])
    }
}
