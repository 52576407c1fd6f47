import ControllerRuntime
import Testing

@testable import Operator

/// No member stands for everybody, whatever the installation allows; endpoints are open by `allowUnauthenticated` alone.
@Suite struct EverybodyTests {
    @Test(arguments: ["allUsers", "allAuthenticatedUsers"]) func `access for everybody is refused`(member: String) {
        var artifact = Artifacts.artifact()
        artifact.spec.access = .init(bindings: [.init(role: "roles/storage.objectViewer", members: [member])])
        var seen = Artifacts.observation(artifact)
        seen.configuration.accessMembers = ["*": [member]]
        let decision = GCSArtifactPlan.rules.decide(seen)
        guard case .actionRequired(.invalidSpec, let message) = decision.situation else {
            Issue.record("\(decision.situation)")
            return
        }
        #expect(message.contains(member) && decision.steps.isEmpty)

        let endpoint = Endpoints.endpoint { $0.access = .init(allowUnauthenticated: false, invokers: [member]) }
        var called = Endpoints.observation(endpoint)
        called.configuration.accessMembers = ["*": [member]]
        let answer = ModelEndpointPlan.rules.decide(called)
        guard case .actionRequired(.invalidSpec, let reason) = answer.situation else {
            Issue.record("\(answer.situation)")
            return
        }
        #expect(reason.contains(member) && answer.steps.isEmpty)
    }
}
