import Encoding
import GoogleCloud
import Kubernetes
import Testing

@testable import ControllerRuntime
@testable import Operator

/// Services before and after the predictor.
@Suite struct ModelEndpointProcessorTests {
    private typealias Outcome = Plan<ModelEndpoint.Status, ModelEndpointAction>

    private static let account = "digits@sandbox-project.iam.gserviceaccount.com"

    private func plan(_ observation: ModelEndpointObservation) -> Outcome { ModelEndpointPlan.plan(observation) }

    private func observation(_ change: (inout ModelEndpoint.Spec) -> Void = { _ in }) -> ModelEndpointObservation {
        var observation = Endpoints.observation(
            Endpoints.endpoint { spec in
                var predictor = ModelEndpoint.Predictor()
                predictor.googleServiceAccount = Self.account
                spec.predictor = predictor
                spec.preprocessor = .init(image: "r/pre:1", args: ["--fast"])
                change(&spec)
            })
        observation.configuration.runtimeAccounts = ["ml": [Self.account]]
        observation.processors = [.init(role: .preprocessor, service: .absent)]
        return observation
    }

    /// The processor as it is wanted.
    private func service(
        _ observation: ModelEndpointObservation, _ change: (inout JSONValue) -> Void = { _ in }
    ) throws -> RunService {
        let processor = try #require(observation.spec.preprocessor)
        let configuration = ModelEndpointProcessors.configuration(.preprocessor, processor, observation)
        var value = try JSONValue(encoding: configuration)
        let id = ModelEndpointProcessors.id(.preprocessor, observation)
        value["name"] = .string("projects/sandbox-project/locations/us-central1/services/\(id)")
        value["generation"] = "1"
        value["observedGeneration"] = "1"
        value["etag"] = "p1"
        value["uri"] = "https://pre.run.app"
        value["latestReadyRevision"] = .string("projects/p/locations/l/services/\(id)/revisions/\(id)-00001")
        value["terminalCondition"] = ["type": "Ready", "state": "CONDITION_SUCCEEDED"]
        change(&value)
        return try value.decode(RunService.self)
    }

    private var granted: IAMPolicy {
        IAMPolicy(
            bindings: [.init(role: ModelEndpointAccess.role, members: ["serviceAccount:\(Self.account)"])], etag: "x")
    }

    /// With the processor in place, and what the plan then wants.
    private func placed(_ observation: ModelEndpointObservation, _ service: RunService, _ policy: IAMPolicy? = nil)
        -> ModelEndpointObservation
    {
        var observation = observation
        observation.processors = [
            .init(role: .preprocessor, service: .found(service), policy: policy ?? granted)
        ]
        return observation
    }

    private func step(_ outcome: Outcome) -> ModelEndpointAction? {
        guard case .cloud(let action)? = outcome.steps.first else { return nil }
        return action
    }

    @Test func `a processor is written down, made, and opened to the predictor before the predictor is made`() throws {
        var observation = observation()
        let first = plan(observation)
        #expect(first.steps == [])
        #expect(first.status.resources.map(\.role) == ["Preprocessor"])
        #expect(first.status.candidate == nil)
        observation.endpoint.status = first.status
        guard case .createService(let id, let configuration, _, _)? = step(plan(observation)) else {
            Issue.record("no create")
            return
        }
        #expect(id == ModelEndpointProcessors.id(.preprocessor, observation))
        #expect(id != ModelEndpointService.id(observation) && id.count <= 49)
        #expect(configuration.template?.containers?.first?.image == "r/pre:1")
        #expect(configuration.template?.containers?.first?.args == ["--fast"])

        observation = placed(observation, try service(observation), IAMPolicy(etag: "x"))
        guard case .setInvokers(let members, _, let of, _, _)? = step(plan(observation)) else {
            Issue.record("nobody may call it")
            return
        }
        #expect(members == ["serviceAccount:\(Self.account)"])
        #expect(of == id)

        observation = placed(observation, try service(observation))
        let next = plan(observation)
        #expect(next.status.candidate != nil)
        #expect(next.status.resources.map(\.role) == ["Preprocessor", "Service"])
        #expect(next.status.components.map(\.ready) == [true])
        observation.endpoint.status = next.status
        guard case .createService(_, let predictor, _, _)? = step(plan(observation)) else {
            Issue.record("no predictor")
            return
        }
        #expect(
            predictor.template?.containers?.first?.env?.last
                == .init(name: "ML_UPSTREAM_URL", value: "https://pre.run.app"))
    }

    @Test func `whoever else may call it may not any more`() throws {
        let observation = observation()
        let open = IAMPolicy(
            bindings: [
                .init(
                    role: ModelEndpointAccess.role, members: ["allUsers", "serviceAccount:\(Self.account)"])
            ], etag: "x")
        guard
            case .setInvokers(let members, let managed, _, _, _)? = step(
                plan(placed(observation, try service(observation), open)))
        else {
            Issue.record("it stays open")
            return
        }
        #expect(members == ["serviceAccount:\(Self.account)"])
        #expect(managed.contains("allUsers"))
    }

    @Test func `a change of it is a patch, a change by somebody else too`() throws {
        var observation = observation()
        let old = try service(observation)
        observation.endpoint.spec.preprocessor?.image = "r/pre:2"
        guard case .patchService(_, let wanted, let fields, let etag, _, _)? = step(plan(placed(observation, old)))
        else {
            Issue.record("no patch")
            return
        }
        #expect(fields == ["annotations", "template"])
        #expect(etag == "p1")
        #expect(wanted.template?.containers?.first?.image == "r/pre:2")
        let open = try service(observation) { $0["scaling"] = ["maxInstanceCount": 50] }
        guard case .patchService(_, _, let set, _, _, _)? = step(plan(placed(observation, open))) else {
            Issue.record("no patch")
            return
        }
        #expect(set == ["scaling"])
    }

    @Test func `one that never came up holds the predictor back, one that came up once does not`() throws {
        let observation = observation()
        let failed: JSONValue = ["type": "Ready", "state": "CONDITION_FAILED", "message": "no such image"]
        let never = try service(observation) { value in
            value["terminalCondition"] = failed
            value["latestReadyRevision"] = .null
        }
        let held = plan(placed(observation, never))
        #expect(held.steps == [])
        #expect(held.status.conditions.first(ofType: "Stalled")?.reason == "ProcessorFailed")
        #expect(held.status.components.map(\.reason) == ["ProcessorFailed"])
        let once = try service(observation) { $0["terminalCondition"] = failed }
        #expect(plan(placed(observation, once)).status.candidate != nil)
    }

    @Test func `somebody else's service of that name is not touched`() throws {
        let observation = observation()
        let other = try service(observation) { $0["labels"] = ["team": "other"] }
        let outcome = plan(placed(observation, other))
        #expect(outcome.steps == [])
        #expect(outcome.status.conditions.first(ofType: "Stalled")?.reason == "NameConflict")
    }

    @Test func `one that is not wanted any more goes when nothing calls it`() throws {
        var observation = try serving()
        observation.endpoint.spec.preprocessor = nil
        // The predictor that calls it still serves: first another revision.
        let begun = plan(observation)
        #expect(begun.steps == [])
        #expect(begun.status.candidate != nil)
        var status = begun.status
        let revision = try Endpoints.revision(2, Endpoints.model(), of: observation)
        observation.revisions = [revision]
        status.active = ModelEndpointService.facts(of: revision)
        status.candidate = nil
        observation.endpoint.status = status
        observation.service = .found(try Endpoints.service(status, observation))
        let outcome = plan(observation)
        guard case .deleteProcessor(.preprocessor, let id, _, _)? = step(outcome) else {
            Issue.record("it stays: \(outcome.steps)")
            return
        }
        #expect(id == ModelEndpointProcessors.id(.preprocessor, observation))
        observation.endpoint.status = outcome.status
        observation.processors = [.init(role: .preprocessor, service: .absent)]
        #expect(plan(observation).status.resources.map(\.role) == ["Service"])
    }

    /// The predictor and its preprocessor serve.
    private func serving() throws -> ModelEndpointObservation {
        var observation = observation()
        observation = placed(observation, try service(observation))
        let revision = try Endpoints.revision(1, Endpoints.model(), of: observation)
        observation.revisions = [revision]
        var status = ModelEndpoint.Status()
        status.active = ModelEndpointService.facts(of: revision)
        status.resources = [
            CloudResource(
                externalRef: ModelEndpointProcessors.reference(.preprocessor, observation), role: "Preprocessor",
                state: "Active")
        ]
        observation.endpoint.status = status
        observation.service = .found(try Endpoints.service(status, observation))
        observation.endpoint.status = plan(observation).status
        #expect(observation.status.state == "Serving")
        return observation
    }

    @Test func `all go with the object, the predictor first, and the finalizer when the last is gone`() throws {
        var observation = try serving()
        observation.endpoint.metadata.deletionTimestamp = observation.now
        guard case .deleteService? = step(plan(observation)) else {
            Issue.record("the predictor stays")
            return
        }
        observation.service = .absent
        let second = plan(observation)
        #expect(second.next != .finalized)
        guard case .deleteProcessor? = step(second) else {
            Issue.record("the processor stays")
            return
        }
        observation.processors = [.init(role: .preprocessor, service: .absent)]
        let third = plan(observation)
        #expect(third.steps == [])
        observation.endpoint.status = third.status
        #expect(plan(observation).next == .finalized)
        // An orphan leaves both.
        var orphan = try serving()
        orphan.endpoint.metadata.deletionTimestamp = orphan.now
        orphan.endpoint.spec.deletionPolicy = .orphan
        guard case .patchService(let id, let change, fields: ["labels"], _, _, _)? = step(plan(orphan)) else {
            Issue.record("a sweep would take it for a leak")
            return
        }
        #expect(id == ModelEndpointService.id(orphan))
        #expect(change.labels?[Ownership.onDeletionLabel] == "orphan")
        orphan.service = .found(try Endpoints.service(orphan.status, orphan))
        orphan = placed(orphan, try service(orphan))
        #expect(plan(orphan).next == .finalized)
        #expect(plan(orphan).steps == [])
    }

    @Test func `a create whose reply was lost is waited for before the object goes`() throws {
        var observation = observation()
        observation.endpoint.status = plan(observation).status
        observation.endpoint.metadata.deletionTimestamp = observation.now
        observation.service = .notLooked
        let waiting = plan(observation)
        #expect(waiting.next == .after(.seconds(30)))
        observation.now = observation.now + .seconds(31)
        let over = plan(observation)
        #expect(over.status.resources == [])
    }

    @Test func `what cannot be is refused`() {
        let nobody = observation { $0.predictor?.googleServiceAccount = nil }
        #expect(plan(nobody).status.conditions.first(ofType: "Ready")?.reason == "InvalidSpec")
        let other = observation { $0.preprocessor?.googleServiceAccount = "other@p.iam.gserviceaccount.com" }
        #expect(
            plan(other).status.conditions.first(ofType: "Ready")?.message.hasPrefix("preprocessor.googleServiceAccount")
                == true)
        let secret = observation {
            $0.preprocessor?.env = [.init(name: "T", valueFrom: .init(secretKeyRef: .init(name: "t", key: "1")))]
        }
        #expect(plan(secret).status.conditions.first(ofType: "Ready")?.reason == "InvalidSpec")
    }

    @Test func `suspended, no processor runs`() throws {
        var observation = try serving()
        observation.endpoint.spec.suspend = true
        guard case .patchService(let id, let wanted, _, _, _, _)? = step(plan(observation)) else {
            Issue.record("it runs on")
            return
        }
        #expect(id == ModelEndpointProcessors.id(.preprocessor, observation))
        #expect(wanted.scaling?.manualInstanceCount == 0)
    }
}
