import ControllerRuntime
import Encoding
import HTTP
import Kubernetes

/// How early Kueue admits a run: the class that the object's label names, else that of its pods.
public enum WorkloadPriority: Sendable, Hashable {
    /// The run names none, or stands in no queue.
    case none
    case found(Reference, value: Int64)
    /// A sentence: it is not there, or cannot be read.
    case missing(String)

    /// Names a class in Kueue's words.
    public struct Reference: Sendable, Hashable {
        var group: String
        var kind: String
        var name: String

        var json: JSONValue { ["group": .string(group), "kind": .string(kind), "name": .string(name)] }

        /// Where the API server has it.
        var type: ResourceType {
            let isKueues = group == Workload.resourceType.group
            return ResourceType(
                group: group, version: isKueues ? Workload.resourceType.version : "v1", kind: kind,
                plural: isKueues ? "workloadpriorityclasses" : "priorityclasses", isNamespaced: false)
        }

        /// What a job asks for; nil where it names no class.
        init?(_ job: TrainingJob) {
            if let name = job.metadata.labels?[TrainingJobQueue.priorityLabel], !name.isEmpty {
                self.init(group: Workload.resourceType.group, kind: "WorkloadPriorityClass", name: name)
            } else if let name = job.spec.priorityClassName {
                self.init(group: "scheduling.k8s.io", kind: "PriorityClass", name: name)
            } else {
                return nil
            }
        }

        init(group: String, kind: String, name: String) {
            self.group = group
            self.kind = kind
            self.name = name
        }
    }
}

extension TrainingJobQueue {
    /// A run whose priority nobody knows does not stand in the queue.
    static func missingPriority(_ observation: TrainingJobObservation) -> Decision? {
        guard case .missing(let message) = observation.workloadPriority else { return nil }
        return Decision(
            status: observation.status, situation: .actionRequired(.invalidSpec, message),
            next: .after(TrainingJobPlan.slowRecheck))
    }
}

extension TrainingJobController {
    /// Asked once: before a run's Workload is made.
    func observePriority(_ observation: inout TrainingJobObservation) async throws(APIError) {
        guard TrainingJobQueue.queueName(observation) != nil, let run = observation.activeRun, run.image != nil,
            observation.workload == nil, !observation.spec.suspend,
            let reference = WorkloadPriority.Reference(observation.job)
        else { return }
        guard let found = try await kubernetes.find(reference.type, namespace: nil, name: reference.name) else {
            observation.workloadPriority = .missing("\(reference.kind) \(reference.name) does not exist")
            return
        }
        observation.workloadPriority = .found(reference, value: found["value"]?.integerValue ?? 0)
    }
}
