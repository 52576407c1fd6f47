import Encoding
import HTTP
import Kubernetes
import Synchronization

/// One round for one object: unsettled writes → finalizer → observe → plan → perform → status → events → next.
struct Reconciler<C: Controller>: Sendable {
    /// What a round did.
    struct Round: Sendable {
        var uid: String?
        var generation: Int64?
        var stepCount = 0
        var wroteStatus = false
        var outcome = ReconcileOutcome.done
        /// The object's own, where it says one.
        var recheckInterval: Duration?
    }

    static var shortestIdleInterval: Duration { .seconds(1) }

    let controller: C
    let cache: ObjectCache
    let store: ObjectStore<C.Object>
    let environment: RuntimeEnvironment
    let gate: MutationGate
    let recorder: EventRecorder
    private let statusWriter: StatusWriter<C.Object>
    private let unsettled = UnsettledWrites()
    private let complaints = Complaints()
    private let refusals = Complaints()

    private var now: Timestamp { environment.clock.now }

    init(
        controller: C, cache: ObjectCache, store: ObjectStore<C.Object>, environment: RuntimeEnvironment,
        gate: MutationGate, recorder: EventRecorder
    ) {
        self.controller = controller
        self.cache = cache
        self.store = store
        self.environment = environment
        self.gate = gate
        self.recorder = recorder
        self.statusWriter = StatusWriter(client: environment.client, store: store)
    }

    func reconcile(_ key: ObjectKey) async -> Round {
        var round = Round()
        if let undecodable = store.undecodable(key) {
            round.uid = undecodable.uid
            round.outcome = await tell(undecodable, about: key)
            return round
        }
        do throws(APIError) {
            try await settle(key)
        } catch {
            round.outcome = .failed(error, retry: RetryTable.timing(of: error))
            return round
        }
        guard let object = store[key] else {
            statusWriter.forget(key)
            complaints.forget(key)
            refusals.forget(key)
            return round
        }
        round.uid = object.metadata.uid
        round.generation = object.metadata.generation
        guard controller.isManaged(object) else { return round }
        do throws(APIError) {
            try gate.check("reconcile")
            guard let marked = try await withFinalizer(object) else { return round }
            readRecheckInterval(of: marked, key, &round)
            round.outcome = try await decideAndAct(marked, &round)
        } catch {
            round.outcome = .failed(error, retry: RetryTable.timing(of: error))
            if error.code == .conflict || error.code == .preconditionFailed { await refresh(object) }
        }
        return round
    }

    /// An object of ours that cannot be read: its status says so, once, and nothing else is touched.
    private func tell(_ undecodable: UndecodableObject, about key: ObjectKey) async -> ReconcileOutcome {
        if let last = store[key], !controller.isManaged(last) { return .done }
        let type = C.Object.resourceType
        do throws(APIError) {
            try gate.check("reconcile")
            guard let live = try await environment.client.find(type, namespace: key.namespace, name: key.name) else {
                return .again(after: Self.shortestIdleInterval)  // Its watch is about to say so.
            }
            guard let message = UndecodableStatus.problem(live, as: C.Object.self) else {
                return .again(after: Self.shortestIdleInterval)  // Mended meanwhile: as above.
            }
            if let patch = UndecodableStatus.patch(of: live, message: message, now: now) {
                let reference = ObjectReference(type: type, namespace: key.namespace, name: key.name)
                try await environment.client.mergePatch(reference, patch, subresource: "status")
                let event = Event(
                    .warning, reason: UndecodableStatus.reason, action: "Reconcile",
                    message: UndecodableStatus.sentence(message))
                recorder.record(
                    event,
                    regarding: EventObject.Reference(
                        apiVersion: type.apiVersion, kind: type.kind, namespace: key.namespace, name: key.name,
                        uid: undecodable.uid))
            }
            let error = APIError(.invalid, operation: "GET \(type.plural)", message: message)
            return .failed(error, retry: .whenChanged)
        } catch {
            return .failed(error, retry: RetryTable.timing(of: error))
        }
    }

    /// Reads live what earlier rounds wrote without learning how it ended.
    private func settle(_ key: ObjectKey) async throws(APIError) {
        for reference in unsettled.of(key) {
            let live = try await environment.client.find(
                reference.type, namespace: reference.namespace, name: reference.name)
            guard cache.recordRead(reference, live) else {
                throw APIError(
                    .malformedResponse, operation: "GET \(reference.type.plural)",
                    message: "\(reference.name) is there but cannot be read")
            }
            unsettled.settled(reference, for: key)
        }
    }

    /// The object with our finalizer, where it needs one; nil when it is going and never had it.
    private func withFinalizer(_ object: C.Object) async throws(APIError) -> C.Object? {
        switch Finalizer.action(object.metadata) {
        case .proceed: return object
        case .ignore: return nil
        case .add where !controller.needsFinalizer(object): return object
        case .add: return try await replaceFinalizers(of: object) { $0 + [Finalizer.name] }
        }
    }

    private func replaceFinalizers(
        of object: C.Object, _ change: ([String]) -> [String]
    ) async throws(APIError) -> C.Object {
        do throws(APIError) {
            let updated = try await environment.client.replaceFinalizers(
                of: object, with: change(object.metadata.finalizers ?? []))
            store.put(updated, isOwnWrite: true)
            return updated
        } catch {
            if error.leavesOutcomeOpen { unsettled.note(ObjectReference(object), for: ObjectKey(object.metadata)) }
            throw error
        }
    }

    private func readRecheckInterval(of object: C.Object, _ key: ObjectKey, _ round: inout Round) {
        switch RecheckAnnotation.read(object.metadata) {
        case .absent: complaints.forget(key)
        case .interval(let interval):
            complaints.forget(key)
            round.recheckInterval = interval
        case .wrong(let text):
            if complaints.isNew(text, about: key) { recorder.record([RecheckAnnotation.warning(text)], about: object) }
        }
    }

    private func decideAndAct(_ object: C.Object, _ round: inout Round) async throws(APIError) -> ReconcileOutcome {
        let observation: C.Observation
        do throws(APIError) {
            observation = try await controller.observe(object)
        } catch {
            try await showFailure(error, planned: nil, object, &round)
            throw error
        }
        let plan = C.plan(observation)
        do throws(APIError) {
            try await perform(plan.steps, for: object, &round)
        } catch {
            try await showFailure(error, planned: plan.status, object, &round)
            throw error
        }
        return try await conclude(plan, object, &round)
    }

    private func perform(
        _ steps: [Plan<C.Object.Status, C.CloudAction>.Step], for object: C.Object, _ round: inout Round
    ) async throws(APIError) {
        if steps.isEmpty { return }
        try await requireCurrent(object)
        let children = ChildWriter(
            client: environment.client, cache: cache, unsettled: unsettled, owner: ObjectKey(object.metadata),
            ownerUID: object.metadata.uid)
        for step in steps {
            try gate.check("perform")
            round.stepCount += 1
            switch step {
            case .apply(let manifest): try await children.apply(manifest)
            case .delete(let reference): try await children.delete(reference)
            case .deleteAtOnce(let reference): try await children.delete(reference, gracePeriodSeconds: 0)
            case .cloud(let action): try await controller.perform(action)
            }
        }
    }

    /// The store may be behind, after a restart by much: the world is changed only for the object as it is.
    ///
    /// - Throws: `.conflict` when it has changed; then it is observed again.
    private func requireCurrent(_ object: C.Object) async throws(APIError) {
        let metadata = object.metadata
        let live = try await environment.client.find(C.Object.self, namespace: metadata.namespace, name: metadata.name)
        guard let live, live.isSameToPlans(as: object) else {
            throw APIError(.conflict, operation: "perform", message: "the object has changed since it was read")
        }
    }

    /// Everything was done: status, events, then what is next.
    private func conclude(
        _ plan: Plan<C.Object.Status, C.CloudAction>, _ object: C.Object, _ round: inout Round
    ) async throws(APIError) -> ReconcileOutcome {
        var status = plan.status
        status.observedGeneration = object.metadata.generation ?? status.observedGeneration
        status.conditions = Conditions.merge(
            status.conditions, over: object.status?.conditions ?? [], generation: object.metadata.generation, now: now)
        let current = try await write(status, over: object, &round)
        if round.wroteStatus || round.stepCount > 0 { recorder.record(plan.events, about: object) }
        switch plan.next {
        case .whenChanged: return .settled
        case .after(let delay):
            // A plan that did nothing and wants to look again at once would spin.
            let isIdle = !round.wroteStatus && round.stepCount == 0
            return .again(after: isIdle ? max(delay, Self.shortestIdleInterval) : delay)
        case .finalized:
            guard current.metadata.isDeleting else { return .settled }
            try await removeFinalizer(current)
            return .done
        }
    }

    /// Writes the error into the status, and tells the user when it is a new one.
    ///
    /// - Throws: `.conflict` only; another failure to write is less important than the error itself.
    private func showFailure(
        _ error: APIError, planned: C.Object.Status?, _ object: C.Object, _ round: inout Round
    ) async throws(APIError) {
        // A conflict is observed again at once, a cancelled round is no news: neither shows.
        guard error.code != .cancelled, error.code != .conflict,
            let last = object.status ?? Self.untouchedStatus
        else { return }
        let status = ErrorOverlay.apply(
            error, to: planned, last: last, generation: object.metadata.generation, now: now)
        do throws(APIError) {
            _ = try await write(status, over: object, &round)
        } catch {
            if error.code == .conflict { throw error }
            return
        }
        let reason = status.conditions.first(ofType: "Ready")?.reason
        guard round.wroteStatus, reason == ErrorOverlay.reason(error.code),
            last.conditions.first(ofType: "Ready")?.reason != reason
        else { return }
        let event = Event(.warning, reason: reason ?? "", action: "Reconcile", message: error.description)
        recorder.record([event], about: object)
    }

    private func write(
        _ status: C.Object.Status, over object: C.Object, _ round: inout Round
    ) async throws(APIError) -> C.Object {
        try gate.check("write status")
        do throws(APIError) {
            guard let updated = try await statusWriter.write(status, over: object) else { return object }
            round.wroteStatus = true
            refusals.forget(ObjectKey(object.metadata))
            return updated
        } catch {
            // Gone is fine; after anything else the reply may be lost and the write done: read what is true.
            guard error.code != .notFound else {
                store.remove(ObjectKey(object.metadata), uid: object.metadata.uid, resourceVersion: nil)
                throw APIError(.cancelled, operation: error.operation, message: "the object is gone")
            }
            if error.code != .conflict { await refresh(object) }
            if error.code == .invalid { complain(of: error, object) }
            throw error
        }
    }

    /// A status that the API server refuses cannot say so itself.
    private func complain(of refusal: APIError, _ object: C.Object) {
        guard refusals.isNew(refusal.message, about: ObjectKey(object.metadata)) else { return }
        let event = Event(
            .warning, reason: "StatusRefused", action: "Reconcile",
            message: "the API server refuses the status: \(refusal.message)")
        recorder.record([event], about: object)
    }

    private func removeFinalizer(_ object: C.Object) async throws(APIError) {
        do throws(APIError) {
            _ = try await replaceFinalizers(of: object) { $0.filter { $0 != Finalizer.name } }
        } catch  where error.code == .notFound {
            return
        }
    }

    /// Reads the object live into the store; failing that, the next round begins with it.
    private func refresh(_ object: C.Object) async {
        let metadata = object.metadata
        let reference = ObjectReference(object)
        do throws(APIError) {
            if let live = try await environment.client.find(
                C.Object.self, namespace: metadata.namespace, name: metadata.name)
            {
                // Not as our own write: somebody's edit may be in it, and its event will be no news any more.
                store.put(live)
            } else {
                store.remove(ObjectKey(metadata), uid: metadata.uid, resourceVersion: nil)
            }
            unsettled.settled(reference, for: ObjectKey(metadata))
        } catch {
            unsettled.note(reference, for: ObjectKey(metadata))
        }
    }

    /// The status of an object that nobody wrote yet, where the type can be read from it.
    private static var untouchedStatus: C.Object.Status? {
        let untouched: JSONValue = ["observedGeneration": -1, "conditions": []]
        // A type with more required members has no such status; then the error shows in the log only.
        return try? untouched.decode(C.Object.Status.self)
    }
}

/// What was complained about, so that it is said once: one text per object.
private final class Complaints: Sendable {
    private let texts = Mutex<[ObjectKey: String]>([:])

    func isNew(_ text: String, about key: ObjectKey) -> Bool {
        texts.withLock { $0.updateValue(text, forKey: key) != text }
    }

    func forget(_ key: ObjectKey) { texts.withLock { _ = $0.removeValue(forKey: key) } }
}
