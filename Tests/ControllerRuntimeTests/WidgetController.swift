import ControllerRuntime
import Encoding
import HTTP
import Kubernetes
import Synchronization

/// What a widget's controller makes outside the cluster: a number per uid. Scriptable.
final class WidgetCloud: Sendable {
    struct State {
        var sizes: [String: Int] = [:]
        var calls: [String] = []
        /// Thrown by the next calls, in order.
        var failures: [APIError] = []
    }

    private let state = Mutex(State())

    var sizes: [String: Int] { state.withLock(\.sizes) }
    var calls: [String] { state.withLock(\.calls) }

    func fail(_ errors: APIError...) { state.withLock { $0.failures += errors } }

    func size(_ uid: String) throws(APIError) -> Int? {
        try state.withLock { state throws(APIError) in
            if let error = state.failures.first, error.operation == "read" {
                state.failures.removeFirst()
                throw error
            }
            return state.sizes[uid]
        }
    }

    func set(_ uid: String, to size: Int?) throws(APIError) {
        try state.withLock { state throws(APIError) in
            state.calls.append("\(uid)=\(size.map { String($0) } ?? "gone")")
            if let error = state.failures.first {
                state.failures.removeFirst()
                throw error
            }
            state.sizes[uid] = size
        }
    }
}

/// Records the intent, then makes it so; applies a Service, creates a Job once; deletes in reverse.
struct WidgetController: Controller {
    typealias Object = Widget

    struct Observation: Sendable, Equatable {
        var widget: Widget
        var service: Service?
        var hasJob: Bool
        var size: Int?
    }

    enum CloudAction: Sendable, Equatable {
        case resize(uid: String, to: Int?)
    }

    static let relations: [Relation<Widget>] = [
        .children(Service.self), .labelled(Pod.self, "example.com/widget"),
        .references(Widget.self) { widget in
            widget.spec.partner.map { [ObjectKey(namespace: widget.metadata.namespace, name: $0)] } ?? []
        },
    ]

    let client: KubernetesClient
    let cloud: WidgetCloud

    func isManaged(_ object: Widget) -> Bool { object.spec.manager == nil }

    func observe(_ object: Widget) async throws(APIError) -> Observation {
        let (namespace, name) = (object.metadata.namespace, object.metadata.name)
        return Observation(
            widget: object, service: try await client.find(namespace: namespace, name: name),
            hasJob: try await client.find(Job.self, namespace: namespace, name: name) != nil,
            size: try cloud.size(object.metadata.uid ?? ""))
    }

    func perform(_ action: CloudAction) async throws(APIError) {
        switch action {
        case .resize(let uid, let size): try cloud.set(uid, to: size)
        }
    }

    static func plan(_ observation: Observation) -> Plan<Widget.Status, CloudAction> {
        let widget = observation.widget
        let uid = widget.metadata.uid ?? ""
        if widget.metadata.isDeleting {
            let steps: [Plan<Widget.Status, CloudAction>.Step] =
                observation.size == nil ? [] : [.cloud(.resize(uid: uid, to: nil))]
            return Plan(
                steps: steps, status: status(widget, "Deleting", intended: widget.status?.intended),
                next: steps.isEmpty ? .finalized : .after(.zero))
        }
        guard widget.status?.intended == widget.spec.size else {
            return Plan(status: status(widget, "Planned", intended: widget.spec.size), next: .after(.zero))
        }
        var steps: [Plan<Widget.Status, CloudAction>.Step] = []
        if observation.size != widget.spec.size { steps.append(.cloud(.resize(uid: uid, to: widget.spec.size))) }
        if observation.service == nil { steps.append(.apply(manifest(Service.resourceType, .apply, widget))) }
        if !observation.hasJob { steps.append(.apply(manifest(Job.resourceType, .createOnce, widget))) }
        guard steps.isEmpty else {
            let event = Event(.normal, reason: "Making", action: "Make", message: "makes \(widget.spec.size)")
            return Plan(
                steps: steps, status: status(widget, "Making", intended: widget.spec.size), events: [event],
                next: .after(.seconds(1)))
        }
        return Plan(status: status(widget, nil, intended: widget.spec.size))
    }

    /// `reason` nil: ready.
    private static func status(_ widget: Widget, _ reason: String?, intended: Int?) -> Widget.Status {
        let now = Timestamp(seconds: 0)
        var conditions = [
            Condition(
                type: "Ready", status: reason == nil ? .true : .false, reason: reason ?? "Made", message: "",
                lastTransitionTime: now)
        ]
        if let reason {
            conditions.append(
                Condition(
                    type: "Reconciling", status: .true, reason: reason, message: "", lastTransitionTime: now))
        }
        return Widget.Status(conditions: conditions, intended: intended)
    }

    static func manifest(_ type: ResourceType, _ method: Manifest.Method, _ owner: Widget) -> Manifest {
        Manifest(
            type: type, method: method,
            body: [
                "metadata": [
                    "name": .string(owner.metadata.name), "namespace": "ns",
                    "ownerReferences": [
                        [
                            "apiVersion": "example.com/v1", "kind": "Widget", "name": .string(owner.metadata.name),
                            "uid": .string(owner.metadata.uid ?? ""), "controller": true,
                        ]
                    ],
                ],
                "spec": spec(of: type),
            ])
    }

    /// The least that the API server takes.
    static func spec(of type: ResourceType) -> JSONValue {
        switch type.kind {
        case "Service": ["clusterIP": "None", "selector": ["a": "b"], "ports": [["name": "p", "port": 80]]]
        default:
            [
                "template": [
                    "spec": ["restartPolicy": "Never", "containers": [["name": "c", "image": "example.com/i"]]]
                ]
            ]
        }
    }
}
