import Encoding
import Sandbox

@testable import Operator

/// What comes after a run: markers, partial outputs, machines that are kept.
extension Workflow {
    static let ending: [Workflow] = [
        Workflow(
            name: "made again when complete", setting: "complete", make: world(),
            story: { world in
                try await world.createJob()
                try await world.expectJob("the end") {
                    $0?.isOver == true && $0?.status?.run?.marker?.state == TrainingJob.Marker.written
                }
                try await world.deleteJob()
                try await world.expectJob("nothing") { $0 == nil }
                try await world.createJob()
                try await world.expectJob("no second bill") { $0?.readyReason == "AlreadyComplete" }
            }),
        Workflow(
            name: "cancelled and retained", setting: "retained", make: world(program: unending),
            story: { world in
                try await world.createJob {
                    $0.cleanup = .standard
                    $0.cleanup?.compute = .retain
                    $0.cleanup?.retainSeconds = 120
                }
                try await world.expectJob("training") { $0?.status?.state == "Training" }
                try await world.expectRunningPod()
                let id = try await world.job()?.status?.run?.id ?? ""
                try await world.patchJob(["metadata": ["annotations": [Ownership.cancelAnnotation: .string(id)]]])
                try await world.expectJob("the end") { $0?.isOver == true && $0?.status?.outputs != nil }
            }),
    ]
}
