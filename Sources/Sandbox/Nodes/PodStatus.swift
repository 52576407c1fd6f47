import Encoding

/// A pod's status as the kubelet writes it.
enum PodStatus {
    static let shutdownMessage = "Pod was terminated in response to imminent node shutdown."

    /// The status now: what others wrote stays, what the kubelet knows replaces it.
    static func status(of run: PodRun, pod: PodView, now: Timestamp) -> JSONValue {
        var status = pod.status
        let phase = run.phase
        status["phase"] = .string(phase)
        status["startTime"] = status["startTime"] ?? time(run.startTime)
        status["hostIP"] = "127.0.0.1"
        status["podIP"] = "127.0.0.1"
        status["podIPs"] = [["ip": "127.0.0.1"]]
        status["qosClass"] = status["qosClass"] ?? "Burstable"
        let initContainers = run.containers.filter(\.isInit)
        if !initContainers.isEmpty { status["initContainerStatuses"] = .array(initContainers.map(containerStatus)) }
        status["containerStatuses"] = .array(run.containers.filter { !$0.isInit }.map(containerStatus))
        if run.stop == .nodeShutdown {
            status["reason"] = "Terminated"
            status["message"] = .string(shutdownMessage)
        }
        status["conditions"] = .array(conditions(of: run, pod: pod, phase: phase, now: now))
        return status
    }

    private static func conditions(
        of run: PodRun, pod: PodView, phase: String, now: Timestamp
    ) -> [JSONValue] {
        let main = run.containers.filter { !$0.isInit }
        let isInitialized = run.containers.allSatisfy { !$0.isInit || $0.hasSucceeded }
        let isReady = isInitialized && main.allSatisfy { $0.running != nil } && run.stop == nil
        let notReady: (String, String)? =
            if isReady {
                nil
            } else if phase == "Succeeded" {
                ("PodCompleted", "")
            } else if phase == "Failed" {
                ("PodFailed", "")
            } else {
                (
                    "ContainersNotReady",
                    "containers with unready status: [\(main.map(\.name).joined(separator: " "))]"
                )
            }
        var list = pod.conditions
        func set(_ type: String, _ value: Bool, _ why: (String, String)?) {
            list = ConditionList.setting(
                type, value ? "True" : "False", reason: why?.0,
                message: why.flatMap { $0.1.isEmpty ? nil : $0.1 }, in: list, now: now)
        }
        set("PodScheduled", true, nil)
        set("PodReadyToStartContainers", phase != "Succeeded" && phase != "Failed", nil)
        set("Initialized", isInitialized, isInitialized ? nil : ("ContainersNotInitialized", ""))
        set("ContainersReady", isReady, notReady)
        set("Ready", isReady, notReady)
        if run.stop == .nodeShutdown { set("DisruptionTarget", true, ("TerminationByKubelet", shutdownMessage)) }
        return list
    }

    private static func containerStatus(_ container: PodRun.Container) -> JSONValue {
        var status: JSONValue = [
            "name": .string(container.name), "image": .string(container.image), "imageID": .string(container.image),
            "ready": .bool(container.running != nil || (container.isInit && container.hasSucceeded)),
            "started": .bool(container.running != nil), "restartCount": .integer(Int64(container.restartCount)),
            "state": state(container.state), "lastState": [:],
        ]
        if let last = container.lastTermination { status["lastState"] = ["terminated": terminated(last)] }
        let identifier = container.running?.identifier ?? container.termination?.identifier ?? ""
        if !identifier.isEmpty { status["containerID"] = .string(identifier) }
        return status
    }

    private static func state(_ state: PodRun.Container.State) -> JSONValue {
        switch state {
        case .waiting(let reason, let message):
            var waiting: JSONValue = ["reason": .string(reason)]
            if let message { waiting["message"] = .string(message) }
            return ["waiting": waiting]
        case .running(_, let since): return ["running": ["startedAt": time(since)]]
        case .terminated(let termination): return ["terminated": terminated(termination)]
        }
    }

    private static func terminated(_ termination: PodRun.Container.Termination) -> JSONValue {
        var value: JSONValue = [
            "exitCode": .integer(Int64(termination.outcome.exitCode)), "reason": .string(termination.reason),
            "startedAt": time(termination.startedAt), "finishedAt": time(termination.finishedAt),
        ]
        if let signal = termination.outcome.signal { value["signal"] = .integer(Int64(signal)) }
        if let message = termination.message { value["message"] = .string(message) }
        if !termination.identifier.isEmpty { value["containerID"] = .string(termination.identifier) }
        return value
    }

    private static func time(_ moment: Timestamp) -> JSONValue { .string(moment.wholeSeconds.description) }
}
